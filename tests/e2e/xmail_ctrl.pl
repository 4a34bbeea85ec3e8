#!/usr/bin/perl
# A client of the control protocol that behaves as Perl's XMail::Ctrl documents itself: arguments by
# name, MD5 login unless the greeting has no challenge, lists as references to rows, uploads as
# text. test_perl.py runs it: xmail_ctrl.pl PORT USER PASSWORD DOMAIN.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use IO::Socket::INET;

package Ctrl;

# The order in which each command takes its arguments.
my %order = (
    aliasadd       => [qw(domain alias account)],
    aliasdel       => [qw(domain alias)],
    aliasdomainadd => [qw(domain aliasdomain)],
    aliasdomaindel => [qw(aliasdomain)],
    aliaslist      => [qw(domain alias account)],
    cfgfileget     => [qw(filename)],
    cfgfileset     => [qw(filename)],
    custdomget     => [qw(domain)],
    custdomlist    => [],
    custdomset     => [qw(domain)],
    domainadd      => [qw(domain)],
    domaindel      => [qw(domain)],
    domainlist     => [],
    filelist       => [qw(folder match)],
    frozlist       => [],
    mluseradd      => [qw(domain username mailaddress perms)],
    mluserdel      => [qw(domain username mailaddress)],
    mluserlist     => [qw(domain username)],
    noop           => [],
    poplnkadd      => [qw(domain username extrn_domain extrn_username extrn_password authtype)],
    poplnkdel      => [qw(domain username extrn_domain extrn_username)],
    poplnkenable   => [qw(enable domain username extrn_domain extrn_username)],
    poplnklist     => [qw(domain username)],
    quit           => [],
    useradd        => [qw(domain username password usertype)],
    userauth       => [qw(domain username password)],
    userdel        => [qw(domain username)],
    usergetmproc   => [qw(domain username)],
    userlist       => [qw(domain username)],
    userpasswd     => [qw(domain username password)],
    usersetmproc   => [qw(domain username)],
    userstat       => [qw(domain username)],
    uservars       => [qw(domain username)],
    uservarsset    => [qw(domain username)], # and "vars"
);

sub new {
    my ($class, %o) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $o{port}, Timeout => 30)
        or die "connect: $!";
    my $self = bless { socket => $socket, %o }, $class;
    my $greeting = $self->line;
    die "no XMail: $greeting" unless $greeting =~ /^\+00000 .*XMail/;
    my ($challenge) = $greeting =~ /(<[^>]+>)/;
    my $secret = $challenge ? '#' . Digest::MD5::md5_hex($challenge . $o{ctrlpass}) : $o{ctrlpass};
    $self->send_row($o{ctrlid}, $secret);
    $self->{last} = $self->line;
    die "login: $self->{last}\n" unless $self->{last} =~ /^\+00000/;
    return $self;
}

sub line {
    my $self = shift;
    my $line = readline($self->{socket});
    die "closed" unless defined $line;
    $line =~ s/\r?\n\z//;
    return $line;
}

sub send_row {
    my $self = shift;
    my $row = join "\t", map { my $v = $_; $v =~ s/"/\\"/g; qq("$v") } @_;
    print { $self->{socket} } "$row\r\n";
    $self->{socket}->flush;
}

sub rows {
    my $self = shift;
    my @rows;
    while ((my $line = $self->line) ne '.') {
        $line =~ s/^\.\././;
        push @rows, [map { s/^"//r =~ s/"\z//r =~ s/\\"/"/gr } split /\t/, $line];
    }
    return \@rows;
}

sub upload {
    my ($self, $text) = @_;
    for my $line (split /\n/, $text) {
        $line = ".$line" if $line =~ /^\./;
        print { $self->{socket} } "$line\r\n";
    }
    print { $self->{socket} } ".\r\n";
    $self->{socket}->flush;
    return $self->line;
}

# What was asked for: rows of a list, 1 for success, undef for a refusal (error() has its number).
sub do {
    my ($self, $command, $o) = @_;
    my @words = grep { defined } map { $o->{$_} } @{ $order{$command} };
    push @words, map { $_, $o->{vars}{$_} } sort keys %{ $o->{vars} // {} };
    $self->send_row($command, @words);
    $self->{last} = $self->line;
    return $self->rows if $self->{last} =~ /^\+00100/;
    $self->{last} = $self->upload($o->{output_to_file} // '') if $self->{last} =~ /^\+00101/;
    return $self->{last} =~ /^\+00000/ ? 1 : undef;
}

sub error { return $_[0]{last} =~ /^(-\d{5}) / ? $1 : '' }

package main;

my ($port, $user, $password, $domain) = @ARGV;
my $failed = 0;

sub is {
    my ($what, $got, $wanted) = @_;
    my $flat = ref $got ? join('|', map { join ',', @$_ } @$got) : $got // 'undef';
    return if $flat eq $wanted;
    print "$what: got <$flat>, wanted <$wanted>\n";
    $failed = 1;
}

my $x = Ctrl->new(ctrlid => $user, ctrlpass => $password, port => $port);
my %anna = (domain => $domain, username => 'anna');
is('noop', $x->do('noop'), 1);
is('useradd', $x->do('useradd', { %anna, password => 'annas-"pass"', usertype => 'U' }), 1);
is('useradd again', $x->do('useradd', { %anna, password => 'annas-pass', usertype => 'U' }), 'undef');
is('its number', $x->error, '-00013');
is('userauth', $x->do('userauth', { %anna, password => 'annas-"pass"' }), 1);
is('userlist', $x->do('userlist', { %anna }), qq($domain,anna,annas-"pass",U));
is('userpasswd', $x->do('userpasswd', { %anna, password => 'next-password' }), 1);
is('uservarsset', $x->do('uservarsset', { %anna, vars => { RealName => 'An "na" \\ x', Own => '1' } }), 1);
my %vars = map { $_->[0] => $_->[1] } @{ $x->do('uservars', { %anna }) };
is('RealName', $vars{RealName}, 'An "na" \\ x');
is('Own', $vars{Own}, '1');
is('usersetmproc', $x->do('usersetmproc', { %anna, output_to_file => qq("mailbox"\n.dot\n) }), 1);
is('usergetmproc', $x->do('usergetmproc', { %anna }), 'mailbox|.dot');
is('usersetmproc, empty', $x->do('usersetmproc', { %anna, output_to_file => '' }), 1);
is('usergetmproc, none', $x->do('usergetmproc', { %anna }), 'undef');
is('its number', $x->error, '-00116');
my %stat = map { $_->[0] => $_->[1] } @{ $x->do('userstat', { %anna }) };
is('RealAddress', $stat{RealAddress}, "anna\@$domain");
is('aliasadd', $x->do('aliasadd', { domain => $domain, alias => 'ann', account => 'anna' }), 1);
is('aliaslist', $x->do('aliaslist', { domain => $domain, alias => 'an*' }), "$domain,ann,anna");
is('aliasdel', $x->do('aliasdel', { domain => $domain, alias => 'ann' }), 1);
is('domainadd', $x->do('domainadd', { domain => 'perl.example' }), 1);
is('domainlist', $x->do('domainlist'), "$domain|perl.example");
is('domaindel', $x->do('domaindel', { domain => 'perl.example' }), 1);
my %list = (domain => $domain, username => 'perlers');
is('useradd of a list', $x->do('useradd', { %list, password => 'list-password', usertype => 'M' }), 1);
is('mluseradd', $x->do('mluseradd', { %list, mailaddress => 'a@far.example', perms => 'RA' }), 1);
is('mluserlist', $x->do('mluserlist', { %list }), 'a@far.example,RA');
is('mluserdel', $x->do('mluserdel', { %list, mailaddress => 'a@far.example' }), 1);
my %link = (%anna, extrn_domain => 'pop.far.example', extrn_username => 'aa');
is('poplnkadd', $x->do('poplnkadd', { %link, extrn_password => 'pw', authtype => 'CLR' }), 1);
is('poplnkenable', $x->do('poplnkenable', { %link, enable => 0 }), 1);
is('poplnklist', $x->do('poplnklist', { %anna }), "$domain,anna,pop.far.example,aa,pw,CLR,OFF");
is('poplnkdel', $x->do('poplnkdel', { %link }), 1);
is('custdomset', $x->do('custdomset', { domain => 'c.example', output_to_file => '"smtp"' }), 1);
is('custdomlist', $x->do('custdomlist'), 'c.example');
is('custdomget', $x->do('custdomget', { domain => 'c.example' }), 'smtp');
is('cfgfileset', $x->do('cfgfileset', { filename => 'filters/p.tab', output_to_file => "..x\ny" }), 1);
is('cfgfileget', $x->do('cfgfileget', { filename => 'filters/p.tab' }), '..x|y');
is('filelist', $x->do('filelist', { folder => 'filters', match => '*.tab' }), 'p.tab,6');
is('frozlist', $x->do('frozlist'), '');
is('userdel', $x->do('userdel', { %anna }), 1);
is('userdel again', $x->do('userdel', { %anna }), 'undef');
is('its number', $x->error, '-00012');
is('quit', $x->do('quit'), 1);
exit $failed;
