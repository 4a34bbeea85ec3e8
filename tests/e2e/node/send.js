// Sends one message: node send.js plain|starttls|tls PORT USER PASSWORD RECIPIENT
'use strict';
const nodemailer = require('nodemailer');

const [mode, port, user, pass, to] = process.argv.slice(2);
const options = {
  host: '127.0.0.1',
  port: Number(port),
  name: 'client.example',
  secure: mode === 'tls',
  ignoreTLS: mode === 'plain',
  requireTLS: mode === 'starttls',
  tls: { rejectUnauthorized: false },
};
if (mode !== 'plain') {
  options.auth = { user, pass };
}
const message = {
  from: user,
  to,
  subject: `nodemailer ${mode}`,
  text: 'before\n.\n..two\nafter',
  textEncoding: 'quoted-printable',
  attachments: [{ filename: 'dots.txt', content: '.'.repeat(5000) }],
};
nodemailer.createTransport(options).sendMail(message).then(
  (info) => console.log(info.response),
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
