/*
 * smtpd_test.c - SMTP dialogues over memory streams, against a MailRoot in a scratch folder.
 * Each row is sent whole and octet by octet; the replies must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtpd/dialogue.h"

/*
 * want: the last line of each reply, as far as it is given, "|" between.
 * alice, queued: messages that arrive.
 */
struct row {
    const char *name, *in, *want;
    unsigned alice, queued;
    int door;
    const char *options;
    const char *client;
    bool whole; /* not octet by octet: pipelining is the point */
};

static const struct row rows[] = {
    { .name = "greeting", "", "220 mx.example.org" },
    { .name = "helo", "HELO c.test\r\n" QUIT, "220|250 mx.example.org|221 2.0.0" },
    { .name = "helo without a name", "HELO\r\nEHLO \r\n", "220|501 5.5.4|501 5.5.4" },
    { .name = "ehlo with an odd name",
      "EHLO a b\r\nEHLO [1.2.3.4]\r\n",
      "220|501 5.5.4|250 HELP" },
    { .name = "unknown", "XXXX\r\n\r\n", "220|500 5.5.1|500 5.5.1" },
    { .name = "sequence",
      FROM "RCPT TO:<x@y>\r\nDATA\r\n" ALICE "STARTTLS\r\n" EHLO TO
           "DATA\r\n" FROM FROM EHLO TO,
      "220|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|503 5.5.1|250|503 5.5.1|503 5.5.1|250 2.1.0|"
      "503 5.5.1|250|503 5.5.1" },
    { .name = "small commands",
      "NOOP\r\nNOOP x\r\nRSET\r\nRSET x\r\nHELP\r\nHELP rcpt\r\nHELP zz\r\nEXPN a\r\nETRN "
      "a\r\nQUIT x\r\nQUIT\r\nNOOP\r\n",
      "220|250 2.0.0|250 2.0.0|250 2.0.0|501 5.5.4|214 2.0.0 HELP|214 2.0.0 RCPT TO:|504 5.5.4|"
      "502 5.5.1|502 5.5.1|501 5.5.4|221 2.0.0" },

    { .name = "one message",
      EHLO FROM TO "DATA\r\n" BODY QUIT,
      "220|250|250 2.1.0|250 2.1.5|354|250 2.0.0|221",
      .alice = 1 },
    { .name = "helo message",
      "HELO x\r\n" FROM TO "DATA\r\n" BODY,
      "220|250|250|250|354|250 2.0.0",
      .alice = 1 },
    { .name = "two messages, the state is reset",
      EHLO FROM TO "DATA\r\n" BODY "DATA\r\n" FROM TO "DATA\r\n" BODY,
      "220|250|250|250|354|250|503|250|250|354|250",
      .alice = 2 },
    { .name = "alias, alias domain, the same account twice",
      EHLO FROM TO "RCPT TO:<al@example.org>\r\nRCPT TO:<ALICE@Example.NET>\r\nDATA\r\n" BODY,
      "220|250|250|250 2.1.5|250 2.1.5|250 2.1.5|354|250",
      .alice = 1 },
    { .name = "two mailboxes go to the queue",
      EHLO FROM TO TO_BOB "DATA\r\n" BODY,
      "220|250|250|250|250|354|250 2.0.0",
      .queued = 1 },
    { .name = "postmaster",
      EHLO FROM "RCPT TO:<PostMaster>\r\nRCPT TO:<postmaster@example.org>\r\nDATA\r\n" BODY,
      "220|250|250|250|250|354|250",
      .alice = 1 },
    { .name = "null sender",
      EHLO "MAIL FROM:<>\r\n" TO "DATA\r\n" BODY,
      "220|250|250|250|354|250",
      .alice = 1 },
    { .name = "no null sender",
      EHLO "MAIL FROM:<>\r\n",
      "220|250|550 5.7.1",
      .options = "\"AllowNullSender\"\t\"0\"\n" },
    { .name = "source route",
      EHLO "MAIL FROM:<@a.test,@b.test:c@far.test>\r\n" TO,
      "220|250|250|250" },
    { .name = "blanks",
      EHLO "MAIL FROM: <a@far.test>  SIZE=10 \r\nRCPT TO: <alice@example.org> \r\n",
      "220|250|250|250" },
    { .name = "rset ends it", EHLO FROM TO "RSET\r\nDATA\r\n", "220|250|250|250|250|503" },
    { .name = "ehlo ends it", EHLO FROM TO EHLO "DATA\r\n", "220|250|250|250|250|503" },
    { .name = "empty message",
      EHLO FROM TO "DATA\r\n.\r\n",
      "220|250|250|250|354|250",
      .alice = 1 },
    { .name = "data without recipients",
      EHLO FROM "DATA\r\nRSET\r\n",
      "220|250|250|554 5.5.1|250" },
    { .name = "data with a parameter", EHLO FROM TO "DATA x\r\n", "220|250|250|250|501" },

    { .name = "MAIL syntax",
      EHLO
      "MAIL\r\nMAIL TO:<a@b.test>\r\nMAIL FROM:\r\nMAIL FROM:<a>\r\nMAIL FROM:<a@b.test\r\n"
      "MAIL FROM:<a@b_c>x\r\n",
      "220|250|501 5.5.4|501 5.5.4|501 5.1.7|501 5.1.7|501 5.1.7|501 5.1.7",
      .options = "\"SMTP-MaxErrors\"\t\"0\"\n" },
    { .name = "MAIL parameters",
      EHLO "MAIL FROM:<a@b.test> SIZE=x\r\nMAIL FROM:<a@b.test> SIZE\r\n"
           "MAIL FROM:<a@b.test> SIZE=99999999999999999999\r\nMAIL FROM:<a@b.test> "
           "BODY=BINARYMIME\r\n"
           "MAIL FROM:<a@b.test> RET=HALF\r\nMAIL FROM:<a@b.test> AUTH=a=b\r\n"
           "MAIL FROM:<a@b.test> SMTPUTF8=1\r\nMAIL FROM:<a@b.test> SIZE=5 BODY=8bitmime "
           "SMTPUTF8 AUTH=<>\r\n",
      "220|250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|250" },
    { .name = "DSN parameters",
      EHLO
      "MAIL FROM:<a@b.test> ENVID=a=b\r\nMAIL FROM:<a@b.test> RET=hdrs ENVID=a+2Bb\r\n"
      "RCPT TO:<bob@example.org> NOTIFY=NEVER,DELAY\r\nRCPT TO:<bob@example.org> NOTIFY=X\r\n"
      "RCPT TO:<bob@example.org> ORCPT=rfc822\r\nRCPT TO:<bob@example.org> ORCPT=rfc822;a=b\r\n"
      "RCPT TO:<bob@example.org> NOTIFY=success,failure ORCPT=rfc822;b+2Bb@x.test\r\n",
      "220|250|501 5.5.4|250|501 5.5.4|501 5.5.4|501 5.5.4|501 5.5.4|250" },
    { .name = "no parameters after HELO",
      "HELO x\r\nMAIL FROM:<a@b.test> SIZE=5\r\n" FROM,
      "220|250|555 5.5.4|250" },
    { .name = "SIZE above the limit",
      EHLO "MAIL FROM:<a@b.test> SIZE=1025\r\n",
      "220|250|552 5.3.4",
      .options = "\"MaxMessageSize\"\t\"1\"\n" },
    { .name = "SMTPUTF8",
      EHLO "MAIL FROM:<\xc3\xa9@far.test>\r\nMAIL FROM:<\xc3\xa9@far.test> SMTPUTF8\r\nRCPT "
           "TO:<\xc3\xa9@example.org>\r\nRSET\r\n" FROM "RCPT TO:<\xc3\xa9@example.org>\r\n",
      "220|250|553 5.6.7|250|550 5.1.1|250|250|553 5.6.7" },

    { .name = "RCPT syntax",
      EHLO FROM "RCPT\r\nRCPT TO:<>\r\nRCPT TO:<a@>\r\n" TO "RCPT TO:<x@y.test> "
                "FOO=NEVER\r\n",
      "220|250|250|501 5.5.4|501 5.1.3|501 5.1.3|250|555 5.5.4" },
    { .name = "RCPT answers",
      EHLO FROM "RCPT TO:<nobody@example.org>\r\nRCPT TO:<carol@example.org>\r\n"
                "RCPT TO:<dave@example.org>\r\nRCPT TO:<x@far.test>\r\nRCPT "
                "TO:<team@example.org>\r\n"
                "RCPT TO:<frank@example.org>\r\nRCPT TO:<away@example.org>\r\n",
      "220|250|250|550 5.1.1|550 5.2.1|452 4.2.2|550 5.7.1|250|250|250" },
    { .name = "RCPT too large",
      EHLO "MAIL FROM:<a@b.test> SIZE=2000\r\nRCPT TO:<erin@example.org>\r\n",
      "220|250|250|552 5.3.4" },
    { .name = "relaying for an address of smtprelay.tab",
      EHLO FROM "RCPT TO:<x@far.test>\r\n",
      "220|250|250|250",
      .client = "10.1.1.1" },

    { .name = "bare LF",
      EHLO FROM TO "DATA\r\na\nb\r\n.\r\nNOOP\r\n",
      "220|250|250|250|354|550 5.6.0|250" },
    { .name = "bare CR",
      EHLO FROM TO "DATA\r\na\rb\r\n.\r\nNOOP\r\n",
      "220|250|250|250|354|550 5.6.0|250" },
    { .name = "smuggling: LF.CRLF",
      EHLO FROM TO "DATA\r\nx\r\n\r\na\n.\r\n" FROM "\r\n.\r\n",
      "220|250|250|250|354|550 5.6.0" },
    { .name = "smuggling: LF.LF",
      EHLO FROM TO "DATA\r\na\n.\n" FROM "\r\n.\r\n",
      "220|250|250|250|354|550 5.6.0" },
    { .name = "smuggling: CR.CR",
      EHLO FROM TO "DATA\r\na\r.\r" FROM "\r\n.\r\n",
      "220|250|250|250|354|550 5.6.0" },
    { .name = "dots",
      EHLO FROM TO "DATA\r\n..\r\n..a\r\n.b\r\n.\r\nNOOP\r\n",
      "220|250|250|250|354|250|250",
      .alice = 1 },
    { .name = "message above the limit",
      EHLO FROM TO "DATA\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   "012345678901234567890123456789012345678901234567890123456789012345678901234"
                   "5678901234567\r\n"
                   ".\r\nNOOP\r\n",
      "220|250|250|250|354|552 5.3.4|250",
      .options = "\"MaxMessageSize\"\t\"1\"\n" },
    { .name = "too many hops",
      EHLO FROM TO "DATA\r\nReceived: a\r\nReceived: b\r\nReceived: c\r\n\r\n.\r\n",
      "220|250|250|250|354|554 5.4.6",
      .options = "\"MaxMTAOps\"\t\"2\"\n" },
    { .name = "delivered here before",
      EHLO FROM TO "DATA\r\nDelivered-To: alice@example.org\r\n\r\n.\r\n",
      "220|250|250|250|354|554 5.4.6" },

    { .name = "BDAT",
      EHLO FROM TO "BDAT 7\r\na: b\r\n\rBDAT 6 LAST\r\n\n.\r\nx\r",
      "220|250|250|250|250 2.0.0|550 5.6.0" },
    { .name = "BDAT in two chunks",
      EHLO FROM TO "BDAT 6\r\na: b\r\nBDAT 7 LAST\r\n\r\n.\r\nx\nNOOP\r\n",
      "220|250|250|250|250 2.0.0|550 5.6.0|250" },
    { .name = "BDAT good",
      EHLO FROM TO "BDAT 6\r\na: b\r\nBDAT 6 last\r\n\r\n.\r\nxNOOP\r\n",
      "220|250|250|250|250 2.0.0|250 2.0.0|250",
      .alice = 1 },
    { .name = "BDAT 0 LAST",
      EHLO FROM TO "BDAT 3\r\nabcBDAT 0 LAST\r\nDATA\r\n",
      "220|250|250|250|250|250|503",
      .alice = 1 },
    { .name = "BDAT without a transaction",
      EHLO "BDAT 6 LAST\r\nRSET\r\n"
           "NOOP\r\n",
      "220|250|503 5.5.1|250 2.0.0 Ok" },
    { .name = "BDAT without recipients",
      EHLO FROM "BDAT 6\r\nRSET\r\n"
                "RSET\r\n",
      "220|250|250|554 5.5.1|250 2.0.0 Reset" },
    { .name = "BDAT and DATA don't mix",
      EHLO FROM TO "BDAT 3\r\nabc"
                   "DATA\r\n" TO_BOB "RSET\r\n",
      "220|250|250|250|250|503|503|250 2.0.0 Reset" },
    { .name = "BDAT syntax", EHLO FROM TO "BDAT x\r\nNOOP\r\n", "220|250|250|250|501 5.5.4" },
    { .name = "BDAT to several",
      EHLO FROM TO TO_BOB "BDAT 3\r\nabcBDAT 3 LAST\r\nabcNOOP\r\n",
      "220|250|250|250|250|250|250|250 2.0.0 Ok",
      .queued = 1 },
    { .name = "BDAT above the limit",
      EHLO "MAIL FROM:<a@b.test>\r\n" TO "BDAT 1026\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "01234567890123456789012345678901234567890123456789012345678901234567890123456789012"
           "34567890123456789\r\n"
           "abcd\r\n"
           "BDAT 4 LAST\r\nabcdNOOP\r\n",
      "220|250|250|250|552 5.3.4|503 5.5.1|250 2.0.0 Ok",
      .options = "\"MaxMessageSize\"\t\"1\"\n" },

    { .name = "pipelining",
      EHLO FROM "RCPT TO:<nobody@example.org>\r\n" TO "DATA\r\n" BODY FROM TO
                "DATA\r\n" BODY QUIT,
      "220|250|250|550|250|354|250|250|250|354|250|221",
      .alice = 2,
      .whole = true },

    { .name = "AUTH PLAIN", EHLO ALICE ALICE, "220|250|235 2.7.0|503 5.5.1" },
    { .name = "AUTH PLAIN in two lines",
      EHLO "AUTH PLAIN\r\nAGFsaWNlQGV4YW1wbGUub3JnAHNlY3JldA==\r\n",
      "220|250|334|235" },
    { .name = "AUTH LOGIN",
      EHLO "AUTH LOGIN\r\nYWxpY2VAZXhhbXBsZS5vcmc=\r\nc2VjcmV0\r\n",
      "220|250|334 VXNlcm5hbWU6|334 UGFzc3dvcmQ6|235" },
    { .name = "AUTH bad", EHLO ALICE_BAD NOBODY ALICE, "220|250|535 5.7.8|535 5.7.8|235" },
    { .name = "AUTH cancelled",
      EHLO "AUTH LOGIN\r\n*\r\nNOOP\r\n",
      "220|250|334|501 5.7.0|250" },
    { .name = "AUTH not base64", EHLO "AUTH PLAIN !!!\r\n", "220|250|501 5.5.2" },
    { .name = "AUTH unknown",
      EHLO "AUTH\r\nAUTH KERBEROS_V4\r\n",
      "220|250|501 5.5.4|504 5.5.4" },
    { .name = "AUTH in a transaction", EHLO FROM ALICE, "220|250|250|503 5.5.1" },
    { .name = "AUTH needs TLS",
      EHLO ALICE,
      "220|250|538 5.7.11",
      .options = "\"SmtpNoTLSAuths\"\t\"\"\n" },
    { .name = "smtpauth.tab",
      EHLO ROBOT FROM "RCPT TO:<x@far.test>\r\n",
      "220|250|235|250|250" },
    { .name = "user without right M", EHLO GRACE FROM, "220|250|235|550 5.7.1" },
    { .name = "user with right V",
      EHLO "VRFY bob@example.org\r\n" GRACE
           "VRFY al@example.org\r\nVRFY <x@example.org>\r\nVRFY x@far.test\r\nVRFY\r\n",
      "220|250|252 2.1.5|235|250 2.1.5 <alice@example.org>|550 5.1.1|252 2.1.5|501 5.5.4" },
    { .name = "user with right Z",
      EHLO HEIDI "MAIL FROM:<a@b.test> SIZE=9999\r\n",
      "220|250|235|250",
      .options = "\"MaxMessageSize\"\t\"1\"\n" },
    { .name = "user with a size limit",
      EHLO ERIN "MAIL FROM:<a@b.test> SIZE=2000\r\nMAIL FROM:<a@b.test> SIZE=1000\r\n",
      "220|250|235|552 5.3.4|250" },
    { .name = "user without right R",
      EHLO HEIDI FROM "RCPT TO:<x@far.test>\r\n",
      "220|250|235|250|550 5.7.1" },
    { .name = "VRFY allowed",
      "VRFY alice@example.org\r\n",
      "220|250 2.1.5",
      .options = "\"AllowSmtpVRFY\"\t\"1\"\n" },

    { .name = "587 demands AUTH", EHLO FROM, "220|250|530 5.7.0", .door = SUBMISSION },
    { .name = "587 sender check",
      EHLO ALICE FROM "MAIL FROM:<bob@example.org>\r\nMAIL FROM:<al@example.net>\r\n" TO
                      "DATA\r\n" BODY "MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<ally@far.test>\r\n",
      "220|250|235|553 5.7.1|553 5.7.1|250|250|354|250|250|250|250",
      .alice = 1,
      .door = SUBMISSION },
    { .name = "465 of a taken-over MailRoot", EHLO FROM, "220|250|250", .door = SMTPS },

    { .name = "MailAuth",
      EHLO FROM ALICE FROM,
      "220|250|530 5.7.0 Authentication|235|250",
      .options = "\"SmtpConfig\"\t\"MailAuth\"\n" },
    { .name = "mail-auth of one listener",
      EHLO FROM,
      "220|250|530 5.7.0",
      .options = "\"SmtpConfig-127.0.0.1\"\t\"mail-auth\"\n" },
    { .name = "mail-auth of another listener",
      EHLO FROM,
      "220|250|250",
      .options = "\"SmtpConfig-127.0.0.2\"\t\"mail-auth\"\n" },
    { .name = "WantTLS",
      EHLO FROM ALICE FROM,
      "220|250|530 5.7.0 Must|235|530 5.7.0",
      .options = "\"SmtpConfig\"\t\"WantTLS\"\n" },
    { .name = "WantTLS, user with right S",
      EHLO IVAN FROM,
      "220|250|235|250",
      .options = "\"SmtpConfig\"\t\"WantTLS\"\n" },
    { .name = "587 without TLS, AUTH under TLS only",
      EHLO FROM,
      "220|250|530 5.7.0 Must",
      .options = "\"SmtpNoTLSAuths\"\t\"\"\n",
      .door = SUBMISSION },
    { .name = "no sender check",
      EHLO ALICE FROM,
      "220|250|235|250",
      .options = "\"SubmissionSenderCheck\"\t\"0\"\n",
      .door = SUBMISSION },
    { .name = "587 for smtpauth.tab", EHLO ROBOT FROM, "220|250|235|250", .door = SUBMISSION },
    { .name = "DefaultSmtpPerms",
      EHLO ALICE FROM,
      "220|250|235|550 5.7.1",
      .options = "\"DefaultSmtpPerms\"\t\"R\"\n" },
    { .name = "dots anywhere", EHLO "MAIL FROM:<a..b.@far.test>\r\n", "220|250|501 5.1.7" },
    { .name = "SMTPLocalRule1",
      EHLO "MAIL FROM:<a..b.@far.test>\r\n",
      "220|250|250",
      .options = "\"SMTPLocalRule1\"\t\"1\"\n" },
    { .name = "quoted local part", EHLO "MAIL FROM:<\"a b\"@far.test>\r\n", "220|250|250" },

    { .name = "ipmap drops",
      "",
      "554 mx.example.org Your address may not connect here",
      .client = "10.0.0.9" },
    { .name = "ipmap drops with a text",
      "",
      "554 mx.example.org go away",
      .client = "10.0.0.9",
      .options = "\"SmtpMsgIPBan\"\t\"go away\"\n" },
    { .name = "ipmap, authenticated only",
      EHLO FROM ALICE FROM,
      "220|250|530 5.7.0|235|250",
      .client = "10.0.0.9",
      .options = "\"SMTP-IpMapDropCode\"\t\"0\"\n" },
    { .name = "ipmap slows down",
      EHLO FROM TO "DATA\r\n" BODY,
      "220|250|250|250|354|250",
      .alice = 1,
      .client = "10.0.0.9",
      .options = "\"SMTP-IpMapDropCode\"\t\"-3\"\n" },
    { .name = "custom message",
      EHLO FROM "RCPT TO:<x@far.test>\r\n",
      "220|250|250|550 5.7.1 We do not relay for you - call 1234",
      .options = "\"CustomSMTPMessage\"\t\"call 1234\"\n" },
    { .name = "too many errors",
      "A\r\nB\r\nC\r\nNOOP\r\n",
      "220|500|500|421 4.7.0",
      .options = "\"SMTP-MaxErrors\"\t\"2\"\n" },
    { .name = "refusals count as errors",
      EHLO FROM "RCPT TO:<x@far.test>\r\nRCPT TO:<nobody@example.org>\r\nNOOP\r\n",
      "220|250|250|550|550|421 4.7.0",
      .options = "\"SMTP-MaxErrors\"\t\"2\"\n" },
    { .name = "temporary refusals don't",
      EHLO FROM "RCPT TO:<dave@example.org>\r\nRCPT TO:<dave@example.org>\r\nRCPT "
                "TO:<dave@example.org>\r\nNOOP\r\n",
      "220|250|250|452|452|452|250",
      .options = "\"SMTP-MaxErrors\"\t\"2\"\n" },
    { .name = "no disk",
      EHLO FROM,
      "220|250|452 4.3.1",
      .options = "\"SmtpMinDiskSpace\"\t\"1000000000000\"\n" },
};

/* The final lines of all replies in `sent` against "code text|code text". */
static bool replies_match(struct str sent, struct str want)
{
    struct str line, word;
    while (str_cut(&sent, '\n', &line)) {
        line = str_head(line, line.n > 0 ? line.n - 1 : 0);
        if (line.n < 4 || line.p[3] != ' ')
            continue; /* not a reply's last line */
        if (!str_cut(&want, '|', &word) || !str_starts(line, word))
            return false;
    }
    return !str_cut(&want, '|', &word);
}

static void run_row(const struct row *r, size_t piece)
{
    struct arena a AUTO_RELEASE_ARENA = { 0 };
    scratch_options(r->options == NULL ? "" : r->options);
    scratch_notified = 0;
    struct session *s = open_session(r->door, r->client);
    struct str sent = talk(s, str_from_c(r->in), piece, &a);
    session_test_free(&s);
    unsigned alice = scratch_count("domains/example.org/alice/Maildir/new");
    if (!replies_match(sent, str_from_c(r->want)))
        fail_msg("%s (pieces of %zu): wanted %s, got\n%s", r->name, piece, r->want, sent.p);
    if (alice != r->alice || scratch_notified != r->queued)
        fail_msg("%s (pieces of %zu): %u messages for alice, %u queued", r->name, piece, alice,
                 scratch_notified);
    assert_int_equal(scratch_count("domains/example.org/alice/Maildir/tmp"), 0);
}

static void test_dialogues(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        run_row(&rows[i], SIZE_MAX);
        if (!rows[i].whole)
            run_row(&rows[i], 1);
    }
}

static void test_session_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct smtp) <= 1024);
}

static void test_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < smtp_command_count; i++) {
        const struct command *c = &smtp_commands[i];
        assert_non_null(c->start);
        assert_true(c->states != 0 || (c->flags & CMD_ANY_STATE) != 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(c->name, smtp_commands[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),
        cmocka_unit_test(test_session_is_small),
        cmocka_unit_test(test_commands),
    };
    return dialogue_run(tests, ARRAY_LEN(tests), "");
}
