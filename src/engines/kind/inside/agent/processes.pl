# ---- processes

# Tells by a mark on stderr whether the program could be started, then has no part in its pipes any more.
sub run {
    my $mark = $option{mark} // '';
    if ($option{tty}) {
        eval { become(@ARGV) };
        print STDERR text_of($@), "\n";
        exit 127;
    }
    pipe my $read, my $write or die "no pipe: $!\n";
    my $child = fork // die "no process: $!\n";
    if (!$child) {
        close $read;
        eval { become(@ARGV) };
        syswrite $write, text_of($@);
        exit 127;
    }
    close $write;
    local $/;
    my $cause = <$read> // '';
    $cause =~ s/\n/ /g;
    syswrite STDERR, $cause eq '' ? "\1$mark:started\n" : "\1$mark:failed:$cause\n";
    close $_ for *STDIN, *STDOUT, *STDERR;
    waitpid $child, 0;
    exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
}

sub text_of {
    my ($error) = @_;
    my $text = ref $error ? $error->[1] : $error;
    chomp $text;
    return $text;
}

# Returns only by dying.
sub become {
    my @command = @_;
    my ($root, $fact, %environment) = ($option{root}, { uid => 0, gid => 0, groups => [], bound => ~0, locked => 0 });
    my $kept = '';
    if (!defined $root) {
        my $pid = main_process();
        $fact = facts($pid);
        $root = "/proc/$pid/root";
        %environment = variables(started_with($pid, 'environ'));
        $kept = content("$option{kept}/folder") if defined $option{kept} && !defined $option{id};
        chdir "/proc/$pid/cwd";
    }
    my @folders = defined $option{workdir} ? $option{workdir} : $kept ne '' ? $kept : ();
    enter($root);
    chdir '/' if defined $option{workdir};
    for my $folder (@folders) { chdir $folder or die "cannot change to its folder $folder: $!\n" }
    take_identity($fact, identity($fact, \%environment));
    $environment{PATH} //= $PATH;
    $environment{TERM} //= $ENV{TERM} // 'xterm' if $option{tty};
    %environment = (%environment, variables(join "\0", @extra));
    %ENV = %environment;
    umask 0022;
    no warnings 'exec';
    exec { $command[0] } @command;
    die $!{ENOENT} && $command[0] !~ m{/} ? "executable file not found in \$PATH\n" : "$!\n";
}

sub variables {
    # What a program wrote over its environment is no environment.
    return map { /^([A-Za-z_][^=]*)=(.*)\z/s ? ($1 => $2) : () } split /\0/, $_[0];
}

# As the engine itself resolves a user: a bare number that passwd does not know has group 0.
sub identity {
    my ($fact, $environment) = @_;
    my @accounts = map { [ split /:/, $_, -1 ] } split /\n/, content('/etc/passwd');
    if (!defined $option{user}) {
        my ($own) = grep { ($_->[2] // '') eq $fact->{uid} } @accounts;
        $environment->{HOME} //= $own ? $own->[5] : '/';
        return ($fact->{uid}, $fact->{gid}, @{ $fact->{groups} });
    }
    my ($user, $group) = split /:/, $option{user}, 2;
    my $numeric = $user =~ /^\d+\z/;
    my ($account) = grep { $_->[0] eq $user || ($numeric && ($_->[2] // '') eq $user) } @accounts;
    die "it has no user $user\n" unless $account || $numeric;
    my @groups = map { [ split /:/, $_, -1 ] } split /\n/, content('/etc/group');
    my $gid = $account ? $account->[3] : 0;
    my @others;
    if (defined $group) {
        my ($named) = grep { $_->[0] eq $group } @groups;
        $gid = $group =~ /^\d+\z/ ? $group : $named ? $named->[2] : die "it has no group $group\n";
    }
    elsif ($account) {
        my $name = $account->[0];
        @others = map { $_->[2] } grep { grep { $_ eq $name } split /,/, $_->[3] // '' } @groups;
    }
    $environment->{HOME} = $account ? $account->[5] : '/';
    return ($account ? $account->[2] : $user, $gid, @others);
}

# With no more rights than the container's own processes have.
sub take_identity {
    my ($fact, $uid, $gid, @groups) = @_;
    if (defined $calls->{prctl}) {
        for my $right (0 .. 63) {
            next if $fact->{bound} >> $right & 1;
            last if syscall($calls->{prctl}, 24, $right, 0, 0, 0) != 0;
        }
        syscall($calls->{prctl}, 38, 1, 0, 0, 0) if $fact->{locked};
    }
    # A program that opens /dev/stdout by its name, as nginx does, asks for the rights of a file. The engine itself does so, too.
    for my $handle (*STDIN, *STDOUT, *STDERR) { chown $uid, -1, $handle if -p $handle || -t $handle }
    $( = $gid;
    $) = join ' ', $gid, $gid, @groups;
    ($<, $>) = ($uid, $uid);
    die "cannot become the user $uid: $!\n" unless $< == $uid && $> == $uid && (split ' ', $))[0] == $gid;
}

sub end {
    my ($variable, $signal) = @_;
    opendir my $processes, '/proc' or die "cannot read /proc: $!\n";
    for my $pid (grep { /^\d+$/ } readdir $processes) {
        kill $signal, $pid if index("\0" . content("/proc/$pid/environ"), "\0$variable\0") >= 0;
    }
}
