# ---- places

sub is_within {
    my ($folder, $path) = @_;
    return $path eq $folder || $folder eq '/' || index($path, "$folder/") == 0;
}

sub split_path {
    my ($path) = @_;
    my ($above, $name) = $path =~ m{^(.*)/([^/]+)\z}s or refuse("$path is no place for a file");
    return ($above eq '' ? '/' : $above, $name);
}

sub join_path { $_[0] eq '/' ? "/$_[1]" : "$_[0]/$_[1]" }

# The path is taken as it is written; anything that could mean another place is refused.
sub check {
    my ($path) = @_;
    return if $path =~ m{^/} && $path !~ m{\0} && $path !~ m{//} && $path !~ m{/\.{0,2}\z} && $path !~ m{/\.\.?/};
    refuse("$path is no place for a file");
}

# Where a target really is: no link on the way to it, its own last part is not followed. Undef where its folder is missing.
sub place {
    my ($target, $make) = @_;
    check($target);
    my ($above, $name) = split_path($target);
    my $folder = folder($above, $make) // return undef;
    my $real = join_path($folder, $name);
    for my $bind (@binds) {
        refuse("$bind is a folder of this machine: nothing is written into your own files")
          if is_within($bind, $real) || is_within($bind, $target);
    }
    return $real;
}

# The real place of a folder; undef where it is missing and not to be made.
sub folder {
    my ($folder, $make) = @_;
    return '/' if $folder eq '/';
    return $folders{$folder} if defined $folders{$folder};
    my ($above, $name) = split_path($folder);
    my $outer = folder($above, $make) // return undef;
    my $real = join_path($outer, $name);
    if (lstat $real) {
        if    (-l _)  { $real = through_link($folder, $outer, $real) }
        elsif (!-d _) { refuse("$folder is a file in the container, not a folder") }
    }
    elsif (!$!{ENOENT}) { failed() }
    elsif (!$make)      { return undef }
    else {
        mkdir $real, 0755 or $!{EEXIST} or failed();
        chown $owner{uid}, $owner{gid}, $real or failed();
    }
    return $folders{$folder} = $real;
}

# Below a rule's target a link may lead to another place below it, and nowhere else.
sub through_link {
    my ($folder, $outer, $link) = @_;
    my $to = readlink $link // failed();
    my $real = real_path($to =~ m{^/} ? $to : "$outer/$to")
      // refuse("$folder is a link to $to in the container, where nothing is");
    my $cause = "$folder is a link to $real in the container";
    for my $bind (@binds) { refuse("$cause, where a folder of this machine is mounted") if is_within($bind, $real) }
    my ($root) = sort { length $b <=> length $a } grep { $_ ne $folder && is_within($_, $folder) } @roots;
    refuse("$cause, outside of $root") if defined $root && !is_within(real_path($root) // $root, $real);
    refuse("$folder is a file in the container, not a folder") unless -d $real;
    return $real;
}

sub real_path {
    my ($path) = @_;
    my ($real, $links, @todo) = ('', 0, split m{/+}, $path);
    while (@todo) {
        my $part = shift @todo;
        next if $part eq '' || $part eq '.';
        if ($part eq '..') { $real =~ s{/[^/]*\z}{}s; next }
        my $next = "$real/$part";
        return undef unless lstat $next;
        if (!-l _) { $real = $next; next }
        return undef if ++$links > 40;
        my $to = readlink $next // return undef;
        $real = '' if $to =~ m{^/};
        unshift @todo, split m{/+}, $to;
    }
    return $real eq '' ? '/' : $real;
}
