# ---- files

sub file_header {
    my ($index, $permissions, $seconds, $nanoseconds, $path, $rest) = unpack 'N N q> N N/a* a*', $_[0];
    return ({ index => $index, mode => $permissions, time => [ $seconds, $nanoseconds ], path => $path }, $rest);
}

sub whole_file {
    my ($file, $bytes) = file_header($_[0]);
    begin_file($file);
    add_to_file($bytes);
    end_file(1);
}

# A file is made elsewhere and then put in its place: nobody sees half of it, and who watches its folder sees one event.
sub begin_file {
    my ($file) = @_;
    drop_file() if $writing;
    $writing = $file;
    $file->{ok} = attempt($file->{index}, sub {
        $file->{real} = place($file->{path}, 1);
        $file->{made} = unused($file->{real});
        sysopen $file->{handle}, $file->{made}, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600 or failed();
    });
}

# In a folder of ours on the same file system, else beside.
sub unused {
    my ($real) = @_;
    my ($above) = split_path($real);
    my $staging = staging();
    my $same = defined $staging && (stat $staging)[0] == ((stat $above)[0] // failed());
    my $name = ++$number;
    return $same ? "$staging/$$-$name" : join_path($above, ".devstack-$$-$name~");
}

my $staged;

sub staging {
    return $staged if defined $staged && lstat($staged) && -d _;
    my ($above) = split_path($STAGING);
    mkdir $above, 0755;
    mkdir $STAGING, 0700;
    return $staged = lstat($STAGING) && -d _ && -w _ ? $STAGING : undef;
}

# What an agent that was ended in the middle left behind.
sub sweep {
    opendir my $left, $STAGING or return;
    for my $name (readdir $left) {
        unlink "$STAGING/$name" if $name =~ /^(\d+)-\d+\z/ && $1 != $$ && !kill(0, $1);
    }
}

sub add_to_file {
    return unless $writing && $writing->{ok};
    my $bytes = \$_[0];
    my ($left, $from) = (length $$bytes, 0);
    $writing->{ok} = attempt($writing->{index}, sub {
        while ($left) {
            my $wrote = syswrite $writing->{handle}, $$bytes, $left, $from;
            next if !defined $wrote && $!{EINTR};
            failed() unless $wrote;
            $left -= $wrote;
            $from += $wrote;
        }
    }) if $left;
    return;
}

sub end_file {
    my ($whole) = @_;
    my $file = $writing // return;
    return drop_file() unless $whole && $file->{ok};
    attempt($file->{index}, sub {
        chown $owner{uid}, $owner{gid}, $file->{handle} or failed();
        chmod $file->{mode} & 07777, $file->{handle} or failed();
        close $file->{handle} or failed();
        set_time($file->{made}, $file->{time});
        put($file->{made}, $file->{real}, $file->{path});
        delete $file->{made};
    });
    drop_file();
}

sub drop_file {
    close $writing->{handle} if $writing->{handle};
    unlink $writing->{made} if defined $writing->{made};
    $writing = undef;
}

# A folder in the way goes only where nothing but folders is in it.
sub put {
    my ($made, $real, $path) = @_;
    return if rename $made, $real;
    if ($!{EISDIR} || $!{EEXIST} || $!{ENOTEMPTY}) {
        refuse("$path is a folder in the container, with files that were not delivered") unless only_folders($real);
        remove($real, (lstat $real)[0]);
        %folders = ();
        rename $made, $real or failed();
    }
    elsif ($!{EXDEV}) { refuse("$path lies on a file system that cannot be written to in one step") }
    else              { failed() }
}

sub set_time {
    my ($path, $time) = @_;
    if (defined $calls->{utimensat}) {
        my $times = pack 'q4', @$time, @$time;
        # Not through a link.
        return if syscall($calls->{utimensat}, -100, $path, $times, 0x100) == 0;
        failed();
    }
    utime $time->[0], $time->[0], $path unless -l $path;
}

sub make_link {
    my ($index, $seconds, $nanoseconds, $path, $to) = unpack 'N q> N N/a* N/a*', $_[0];
    attempt($index, sub {
        my $real = place($path, 1);
        my $made = unused($real);
        symlink $to, $made or failed();
        my $done = eval {
            set_time($made, [ $seconds, $nanoseconds ]);
            put($made, $real, $path);
            1;
        };
        my $error = $@;
        return if $done;
        unlink $made;
        die $error;
    });
}

sub delete_path {
    my ($index, $path) = unpack 'N N/a*', $_[0];
    attempt($index, sub {
        my $real = place($path, 0) // return;
        return unless lstat $real;
        %folders = () if -d _;
        remove($real, (lstat _)[0]);
    });
}

# What is mounted in it is somebody else's and stays.
sub remove {
    my ($path, $device) = @_;
    lstat $path or return;
    if (-l _ || !-d _) {
        unlink $path or $!{ENOENT} or failed();
        return;
    }
    refuse("$path is a mount in the container") if (lstat _)[0] != $device;
    progress();
    remove("$path/$_", $device) for entries($path);
    rmdir $path or $!{ENOENT} or failed();
}

sub entries {
    my ($path) = @_;
    opendir my $folder, $path or failed();
    return grep { $_ ne '.' && $_ ne '..' } readdir $folder;
}

sub only_folders {
    my ($path) = @_;
    for my $inner (map { "$path/$_" } entries($path)) {
        lstat $inner or next;
        return 0 if -l _ || !-d _ || !only_folders($inner);
    }
    return 1;
}
