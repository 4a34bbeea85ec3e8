#!/usr/bin/perl
# A filter that stays (filters.post-rcpt.tab), so that Perl starts once and not for each recipient:
#
#     "!persist=2,timeo=10"  "/usr/local/libexec/persistent-filter.pl"
#
# It gets one job a line, as JSON, whose members are the macros (FILE, CRCPT, FROM, ...), and answers each with one line:
# the job's id, a code as a filter's exit code, and maybe a reply for code 3. Here: recipients that begin with "no-"
# are refused.
use strict;
use warnings;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->canonical;
while (my $line = <STDIN>) {
    my $job = $json->decode($line);
    my %verdict = (id => $job->{id}, code => 0);
    if ($job->{CRCPT} =~ /^no-/) {
        %verdict = (%verdict, code => 3, reply => "550 5.1.1 $job->{CRCPT} takes no mail");
    }
    print $json->encode(\%verdict), "\n";
}
