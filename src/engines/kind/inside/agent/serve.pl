# ---- frames

my ($buffer, $at, $said) = ('', 0, 0);

sub take {
    my ($length) = @_;
    while (length($buffer) - $at < $length) {
        substr($buffer, 0, $at, '') if $at;
        $at = 0;
        my $read = sysread STDIN, $buffer, $BLOCK, length $buffer;
        next if !defined $read && $!{EINTR};
        return undef unless $read;
    }
    $at += $length;
    return substr $buffer, $at - $length, $length;
}

sub answer {
    my ($type, $payload) = @_;
    my $frame = pack('aN', $type, length $payload) . $payload;
    for (my $sent = 0; $sent < length $frame;) {
        my $wrote = syswrite STDOUT, $frame, length($frame) - $sent, $sent;
        next if !defined $wrote && $!{EINTR};
        exit 1 unless defined $wrote;
        $sent += $wrote;
    }
    $said = time;
}

# Whoever waits knows by it that work goes on.
sub progress { answer('P', '') if time - $said > 0 }

my ($main, %owner) = (1);
my (@roots, @binds, %folders, $writing);
my $number = 0;

sub serve {
    my $root = $option{root};
    if (!defined $root) {
        $main = main_process();
        my $fact = facts($main);
        %owner = (uid => $fact->{uid}, gid => $fact->{gid});
        $root = "/proc/$main/root";
    }
    $owner{uid} = $option{uid} if defined $option{uid};
    $owner{gid} = $option{gid} if defined $option{gid};
    enter($root);
    chdir '/';
    umask 0;
    sweep();
    answer('H', pack('N N N', $VERSION, $owner{uid} // 0, $owner{gid} // 0));
    my %work = (
        B => \&begin_batch,
        F => \&whole_file,
        W => sub { begin_file(file_header($_[0])) },
        D => sub { add_to_file($_[0]) },
        E => sub { end_file(unpack 'C', $_[0]) },
        L => \&make_link,
        X => \&delete_path,
        C => sub { answer('A', $_[0]) },
        G => \&open_gate,
    );
    while (defined(my $head = take(5))) {
        my ($type, $length) = unpack 'aN', $head;
        die "out of step\n" if $length > $LARGEST || !$work{$type};
        my $payload = take($length) // last;
        $work{$type}->($payload);
        progress();
    }
    # A file that was not ended is not there.
    drop_file() if $writing;
}

sub begin_batch {
    my (undef, $count, $rest) = unpack 'N N a*', $_[0];
    my @paths = unpack '(N/a*)*', $rest;
    @roots = splice @paths, 0, $count;
    @binds = @paths;
    %folders = ();
    $said = time;
}

# Does one thing; what goes wrong is answered by its number, and the rest goes on.
sub attempt {
    my ($index, $work) = @_;
    return 1 if eval { $work->(); 1 };
    my $error = $@;
    my ($errno, $cause) = ref $error ? @$error : (0, $error);
    chomp $cause;
    answer('R', pack('N N N/a*', $index, $errno, $cause));
    return 0;
}

sub failed { die [ $! + 0, "$!" ] }
sub refuse { die [ 0, $_[0] ] }

# A program that waits at the gate may start. One that has not come to it yet takes away what lies there for it, and an
# earlier run of the container may have left its sign: so the word is there until the program has begun.
sub open_gate {
    my ($id, $seconds, $name) = unpack 'N N N/a*', $_[0];
    die "no name of a container\n" unless $name =~ /^[a-z0-9-]+\z/;
    my ($waiting, $go) = ("$RUN/$name.waiting", "$RUN/$name.go");
    my ($until, $state) = (time + $seconds, undef);
    $said = time;
    while (time <= $until) {
        my $line = content("/proc/$main/cmdline");
        my $waits = $line eq '' || index($line, $GATE) >= 0 || $line =~ /^runc[^\0]*\0init\0/;
        last if !$waits || ($state // '') eq 'F';
        if (-e $waiting && !-e $go) {
            $state = sysopen(my $file, $go, O_WRONLY | O_CREAT | O_NOFOLLOW, 0644) ? 'O' : 'F';
        }
        select undef, undef, undef, 0.005;
        progress();
    }
    $state //= time > $until ? 'T' : 'N';
    answer('G', pack('N a', $id, $state));
}
