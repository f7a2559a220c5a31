# Works in a container from beside it: what it writes and runs is seen from that container's own root, as its own users.
# The image needs no program for it. It runs in an agent container that shares the processes of the other one, with what
# perl-base has. The files of this folder are one program, put together in this order:
#
#   beside.pl      what is known of the other container
#   serve.pl       takes frames from stdin until it ends (../frames.ts describes them)
#   places.pl      where a target really is
#   files.pl       writes and deletes
#   processes.pl   runs programs in the other container, and ends them
#   main.pl        reads the arguments
use strict;
use warnings;
no warnings qw(newline portable);
use Config;
use Errno ();
use Fcntl qw(O_WRONLY O_CREAT O_EXCL O_NOFOLLOW);

my $VERSION = 1;
my ($LARGEST, $BLOCK) = (16 * 1024 * 1024, 256 * 1024);
my ($GATE, $RUN, $STAGING) = ('/.devstack/bin/gate', '/.devstack/run', '/.devstack/new');
my $PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
# Calls that Perl has no word for: their numbers.
my %CALLS = (
    x86_64  => { utimensat => 280, prctl => 157 },
    aarch64 => { utimensat => 88,  prctl => 167 },
);
my $calls = $CALLS{ ($Config{archname} =~ /^([^-]+)/)[0] } // {};

my (%option, @extra);

# Its main process. Where all containers of a pod share their processes it is not the first one: then its cgroup, which
# is named after the container, tells it apart.
sub main_process {
    return 1 unless defined $option{id};
    die "the container has no name\n" if $option{id} eq '';
    opendir my $processes, '/proc' or die "cannot read /proc: $!\n";
    for my $pid (sort { $a <=> $b } grep { /^\d+$/ } readdir $processes) {
        return $pid if index(content("/proc/$pid/cgroup"), $option{id}) >= 0;
    }
    die "the container has no process\n";
}

# What it was started with, as stay.pl kept it; else as it is now.
sub started_with {
    my ($pid, $name) = @_;
    my $kept = defined $option{id} || !defined $option{kept} ? '' : content("$option{kept}/$name");
    return $kept ne '' ? $kept : content("/proc/$pid/$name");
}

sub content {
    my ($path) = @_;
    open my $file, '<', $path or return '';
    local $/;
    return scalar(<$file>) // '';
}

sub facts {
    my ($pid) = @_;
    my %fact = map { /^(\w+):\s*(.*)$/ ? ($1 => $2) : () } split /\n/, started_with($pid, 'status');
    die "cannot look at the container's main process: $!\n" unless defined $fact{Uid} && defined $fact{Gid};
    return {
        uid    => (split ' ', $fact{Uid})[0],
        gid    => (split ' ', $fact{Gid})[0],
        groups => [ split ' ', $fact{Groups} // '' ],
        bound  => hex($fact{CapBnd} // 'ffffffffffffffff'),
        locked => $fact{NoNewPrivs} // 0,
    };
}

sub enter {
    my ($root) = @_;
    chroot($root) or die "cannot enter the container's files: $!\n";
}
