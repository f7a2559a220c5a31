# ---- arguments

my $mode = shift @ARGV // '';
while (@ARGV && $ARGV[0] =~ /^--(.*)/s) {
    my $name = $1;
    shift @ARGV;
    last if $name eq '';
    if    ($name eq 'tty') { $option{tty} = 1 }
    elsif ($name eq 'env') { push @extra, shift @ARGV }
    else                   { $option{$name} = shift @ARGV }
}
if    ($mode eq 'serve') { serve() }
elsif ($mode eq 'exec')  { run() }
elsif ($mode eq 'end')   { end(@ARGV) }
else                     { die "no such mode: $mode\n" }
exit 0;
