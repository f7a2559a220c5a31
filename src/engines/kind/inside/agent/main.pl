# ---- arguments

my $mode = shift @ARGV // '';
while (@ARGV && $ARGV[0] =~ /^--(\w*)(?:=(.*))?\z/s) {
    my ($name, $value) = ($1, $2);
    shift @ARGV;
    last if $name eq '';
    if ($name eq 'env') { push @extra, $value }
    else                { $option{$name} = $value // 1 }
}
if    ($mode eq 'serve') { serve() }
elsif ($mode eq 'exec')  { run() }
elsif ($mode eq 'end')   { end(@ARGV) }
else                     { die "no such mode: $mode\n" }
exit 0;
