// Drives Chromium over the pages of a server:
//     node pages.js ADDRESS PASSWORD CHROMIUM
// prints one line of JSON for each scenario: {"name", "problem": null or text}.
'use strict';
const { chromium } = require('playwright-core');
const { createHmac } = require('node:crypto');
const { readFileSync } = require('node:fs');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const [address, password, executablePath] = process.argv.slice(2);
const DOMAIN = 'test.example';
const HOSTILE = '<img src=x onerror="document.title=1">\'"&amp;';

/** Every page, with something on it. */
const pages = [
  '/', '/domains', `/domains/${DOMAIN}`, '/accounts', `/accounts/${DOMAIN}/alice`, '/lists', `/lists/${DOMAIN}/news`,
  `/domains/${DOMAIN}/dns`, '/explain?client=192.0.2.7&service=smtp', '/blocked', '/block-lists',
  '/tables/spammers.tab', '/aliases', '/aliases?kind=domain', '/aliases?kind=outside', '/aliases?kind=command', '/groups', '/groups/staff', '/bulk', '/removed', '/security',
  '/filters', '/filter-test', '/tls', '/settings', '/tables', '/tables/smtprelay.tab', '/history', '/history/1', '/sign-ins', '/setup', '/admins', '/delegates', '/tokens', '/audit',
  '/queue', '/queue?view=messages', '/queue?view=frozen', '/messages/00000000000000',
  '/trace', '/trace?about=alice', '/logs', '/backups', '/warnings', '/statistics', '/emergency', '/emergency?account=alice@test.example',
  '/no-such-page',
];

function check(good, text) {
  if (!good) throw new Error(text);
}

let signedIn; // the cookie, after the first sign-in

async function open(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-US', storageState: signedIn, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.PATIENCE) || 30000);
  page.complaints = [];
  page.on('pageerror', (e) => page.complaints.push(e.message));
  page.on('console', (m) => m.type() === 'error' && page.complaints.push(m.text()));
  page.on('request', (r) => {
    if (!r.url().startsWith(address) && !r.url().startsWith('data:')) page.complaints.push('a request to ' + r.url());
  });
  return page;
}

/** The first time with the keyboard alone. */
async function signIn(page, path = '/') {
  await page.goto(address + path);
  if (!signedIn) {
    await page.getByLabel('Name').waitFor();
    page.complaints = page.complaints.filter((c) => !c.includes('401'));
    await page.keyboard.type('admin');
    await page.keyboard.press('Tab');
    await page.keyboard.type(password);
    await page.keyboard.press('Enter');
  }
  await page.locator('nav.side').waitFor();
  signedIn ??= await page.context().storageState();
  return page;
}

async function visit(page, path) {
  await page.evaluate((to) => {
    history.pushState(null, '', to);
    dispatchEvent(new PopStateEvent('popstate'));
    return new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  }, path);
  await page.locator('main h1').waitFor();
  await page.locator('.loading').first().waitFor({ state: 'detached' });
}

/** Tries again until it is so; waitForFunction evaluates a string, which the pages' policy forbids. */
async function until(problem, isSo) {
  const end = Date.now() + 30000;
  while (!(await isSo())) {
    check(Date.now() < end, problem);
    await new Promise((later) => setTimeout(later, 100));
  }
}

async function save(page) {
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('status').filter({ hasText: 'Saved.' }).waitFor();
}

const scenarios = {
  async account(browser) {
    const page = await signIn(await open(browser), '/accounts');
    await page.getByRole('button', { name: 'New account' }).click();
    await page.getByLabel('Name (before the @)').fill('carol');
    await page.getByLabel('Name', { exact: true }).fill(HOSTILE);
    await page.getByLabel('Mailbox limit').fill('2048');
    await page.getByRole('button', { name: 'Add' }).click();
    const made = await page.locator('dialog code').textContent();
    check(/^[a-z2-9]{16}$/.test(made), 'no password was shown');
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
    await page.getByRole('heading', { name: `carol@${DOMAIN}` }).waitFor();
    check((await page.getByLabel('Name', { exact: true }).inputValue()) === HOSTILE, 'the name changed on its way');
    await page.getByLabel('Mailbox limit').fill('4096');
    await page.getByLabel('Telephone').fill('0120-000-000');
    await save(page);
    await visit(page, '/accounts?search=carol');
    await page.getByRole('cell', { name: HOSTILE }).waitFor();
    await page.getByText('4.0 MB').waitFor();
    check((await page.locator('main img').count()) === 0, 'a name became HTML');
    return page;
  },

  async changed_by_two(browser) {
    const one = await signIn(await open(browser), `/accounts/${DOMAIN}/bob`);
    const two = await signIn(await open(browser), `/accounts/${DOMAIN}/bob`);
    await one.getByLabel('Telephone').fill('111');
    await two.getByLabel('Postal address').fill('222');
    await save(one);
    await two.getByRole('button', { name: 'Save' }).click();
    await two.getByText('Somebody else changed this').waitFor();
    await until("the other's value doesn't show", async () => (await two.getByLabel('Telephone').inputValue()) === '111');
    check((await two.getByLabel('Postal address').inputValue()) === '222', 'what was typed is lost');
    await save(two);
    two.complaints = two.complaints.filter((c) => !c.includes('412'));
    check(one.complaints.length === 0, one.complaints.join('; '));
    return two;
  },

  async removed_and_back(browser) {
    const page = await signIn(await open(browser), `/accounts/${DOMAIN}/dave`);
    await page.getByRole('button', { name: 'Remove', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByText(`dave@${DOMAIN} is back.`).waitFor();
    await page.getByRole('heading', { name: `dave@${DOMAIN}` }).waitFor();
    return page;
  },

  async forwarding(browser) {
    const page = await signIn(await open(browser), `/accounts/${DOMAIN}/alice`);
    await page.getByLabel('Send mail on to').fill('a@elsewhere.example\nb@elsewhere.example');
    await page.getByLabel('Also keep it in the mailbox').uncheck();
    await save(page);
    return page;
  },

  async list_member(browser) {
    const page = await signIn(await open(browser), `/lists/${DOMAIN}/news`);
    await page.getByRole('button', { name: 'Add members' }).click();
    await page.getByLabel('Addresses', { exact: true }).fill('one@elsewhere.example\ntwo@elsewhere.example\nnone');
    await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
    await page.getByRole('dialog').getByRole('alert').filter({ hasText: 'none' }).waitFor();
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
    await page.getByLabel('Rights of one@elsewhere.example').selectOption('R');
    await page.getByText('Saved.').waitFor();
    await page.getByRole('row', { name: 'two@elsewhere.example' }).getByRole('button', { name: 'Remove' }).click();
    await page.getByText('two@elsewhere.example was removed.').waitFor();
    await page.getByLabel('Only members may post').check();
    await page.getByLabel('Moderation').selectOption({ label: 'Every post waits for a moderator' });
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('2 changes not saved').waitFor({ state: 'detached' });
    page.complaints = page.complaints.filter((c) => !c.includes('422'));
    return page;
  },

  async list_texts(browser) {
    const page = await signIn(await open(browser), `/lists/${DOMAIN}/news`);
    const change = async (label, text) => {
      await page.getByLabel(label).fill(text);
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('button', { name: 'Save' }).waitFor({ state: 'detached' });
    };
    await change('In front of Subject', '[news %d]');
    await change('Behind the text', '-- \n退会は担当者まで\n\n');
    await change('Addresses or patterns', '*@rude.example\n\n  a@b.example ');
    await page.reload();
    for (const [label, text] of [['In front of Subject', '[news %d]'], ['Behind the text', '-- \n退会は担当者まで\n\n'],
      ['Addresses or patterns', '*@rude.example\na@b.example\n']])
      await until(label, async () => (await page.getByLabel(label).inputValue()) === text);
    await change('Addresses or patterns', '');
    return page;
  },

  async account_refuses(browser) {
    const page = await signIn(await open(browser), `/accounts/${DOMAIN}/alice`);
    await page.getByLabel('Addresses or patterns').fill('*@rude.example');
    await save(page);
    return page;
  },

  async many_at_once(browser) {
    const page = await signIn(await open(browser), '/bulk');
    await page.getByLabel('Or typed in').fill('address,password,RealName\nerin,,Erin\nfrank,a-given-word,\na b,,\n');
    await page.getByRole('button', { name: 'Check, change nothing' }).click();
    await page.getByRole('row', { name: 'not understood' }).waitFor();
    await page.getByRole('button', { name: 'Carry out' }).click();
    await page.getByText('2 done, 0 failed.').waitFor();
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save the passwords as a file' }).click(),
    ]);
    const text = readFileSync(await file.path(), 'utf8');
    check(/^erin@test\.example\t[a-z2-9]{16}\r\n$/.test(text), 'the file of passwords holds ' + text);
    return page;
  },

  async rows_in_order(browser) {
    const page = await signIn(await open(browser), '/tables/smtp.ipmap.tab');
    for (const network of ['192.0.2.1', '192.0.2.2']) {
      await page.getByRole('button', { name: 'New row' }).click();
      await page.getByLabel('Network').fill(network);
      await page.getByLabel('Netmask').fill('255.255.255.255');
      await page.getByLabel('ALLOW or DENY').selectOption('DENY');
      await page.getByRole('button', { name: 'Save' }).click();
      await page.getByRole('cell', { name: network }).waitFor();
    }
    await page.getByRole('button', { name: 'Move down' }).click();
    await page.getByRole('row').nth(1).filter({ hasText: '192.0.2.2' }).waitFor();
    await page.getByRole('row').nth(1).getByRole('button', { name: 'Remove' }).click();
    await page.getByRole('cell', { name: '192.0.2.2' }).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('row').nth(1).filter({ hasText: '192.0.2.2' }).waitFor();
    return page;
  },

  async filter_file(browser) {
    const page = await signIn(await open(browser), '/filters');
    await page.getByRole('button', { name: 'New file' }).click();
    await page.getByLabel('Name').fill('spam');
    await page.getByLabel('Program').fill('/usr/bin/false');
    await page.getByRole('dialog').getByRole('button', { name: 'Add' }).click();
    await page.getByRole('heading', { name: 'filters/spam.tab' }).waitFor();
    await page.getByRole('button', { name: 'New row' }).click();
    await page.getByLabel('What is asked').selectOption({ label: 'a milter (milter)' });
    await page.getByLabel('Where the milter listens').fill('inet:127.0.0.1:11332');
    await page.getByLabel('Time limit').fill('60');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: '!timeo=60,milter' }).waitFor();
    await visit(page, '/filters');
    await page.getByRole('button', { name: 'New filter: Mail for accounts here' }).click();
    await page.getByLabel('Recipient', { exact: true }).fill('*@test.example');
    await page.getByLabel('File', { exact: true }).selectOption('spam.tab');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: 'spam.tab', exact: true }).waitFor();
    return page;
  },

  async filter_test(browser) {
    const page = await signIn(await open(browser), '/filters');
    await page.getByRole('link', { name: 'Try filters with a message' }).click();
    await page.getByLabel('Recipients').fill(`alice@${DOMAIN}`);
    await page.getByRole('button', { name: 'Run the filters' }).click();
    await page.getByText(/^It would(n't)? get through/).waitFor();
    await page.getByText(`alice@${DOMAIN}`).first().waitFor();
    return page;
  },

  async command(browser) {
    const page = await signIn(await open(browser), '/tables/' + encodeURIComponent(`domains/${DOMAIN}/dave/mailproc.tab`));
    await page.getByRole('button', { name: 'New row' }).click();
    await page.getByLabel('What to do').selectOption('filter');
    await page.getByLabel('Program').fill('/usr/bin/true');
    await page.getByLabel('Arguments').fill('@@FILE');
    await page.getByLabel('Seconds to wait').fill('30');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: '/usr/bin/true' }).waitFor();
    return page;
  },

  async explained(browser) {
    const page = await signIn(await open(browser), '/tables/spammers.tab');
    await page.getByRole('button', { name: 'New row' }).click();
    await page.getByLabel('Network').fill('198.51.100.0');
    await page.getByLabel('Netmask').fill('255.255.255.0');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: '198.51.100.0' }).waitFor();
    await page.getByLabel("Client's address").fill('198.51.100.7');
    await until('the new row has no effect', async () => {
      await page.getByRole('button', { name: 'Look' }).click(); // tables are read again within a second
      return page.getByText('It would be refused').isVisible();
    });
    await page.getByRole('link', { name: 'spammers.tab, line' }).waitFor();
    await page.getByLabel("Client's address").fill('203.0.113.7');
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByText('It would be let through').waitFor();
    return page;
  },

  async dns_of_a_domain(browser) {
    const page = await signIn(await open(browser), `/domains/${DOMAIN}/dns`);
    await page.getByRole('row', { name: '192.0.2.80' }).getByText('right').first().waitFor();
    await page.getByRole('row', { name: `${DOMAIN} MX` }).getByText('missing').waitFor();
    return page;
  },

  async block_list(browser) {
    const page = await signIn(await open(browser), '/block-lists');
    await page.getByRole('button', { name: 'New block list' }).click();
    await page.getByLabel('List', { exact: true }).fill('bl.example');
    await page.getByLabel('Who is listed').selectOption({ label: 'is slowed down' });
    await page.getByLabel('Seconds').fill('20');
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.getByRole('cell', { name: 'is slowed down by 20 seconds' }).waitFor();
    return page;
  },

  async filter_with_flags(browser) {
    const page = await signIn(await open(browser), '/filters');
    await page.getByRole('button', { name: 'New filter: Before the message' }).click();
    await page.getByLabel('Program').fill('/usr/bin/true');
    await page.getByLabel('Arguments').fill('@@FROM\nwith blank');
    await page.getByLabel('Not for people who signed in').check();
    await page.getByLabel('Time limit').fill('5');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: '!aex,timeo=5' }).waitFor();
    return page;
  },

  async certificates(browser) {
    const page = await signIn(await open(browser), '/tls');
    await page.getByRole('button', { name: 'Request (CSR)' }).click();
    await page.getByLabel('Names').fill('mx.pages.example');
    await page.getByRole('dialog').getByRole('button', { name: 'Request (CSR)' }).click();
    await page.getByRole('dialog', { name: 'The request' }).waitFor();
    const made = await page.locator('dialog textarea').inputValue();
    check(made.startsWith('-----BEGIN CERTIFICATE REQUEST-----'), 'no request was shown');
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Install', exact: true }).click();
    await page.getByLabel('Certificate, and those above it', { exact: true }).fill('nothing');
    await page.getByRole('dialog').getByRole('button', { name: 'Install' }).click();
    await page.getByRole('alert').filter({ hasText: 'holds no certificate' }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Self-signed', exact: true }).click();
    await page.getByLabel('Names').fill('mx.pages.example <b>');
    await page.getByRole('dialog').getByRole('button', { name: 'Self-signed' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Names').fill('mx.pages.example');
    await page.getByRole('dialog').getByRole('button', { name: 'Self-signed' }).click();
    await page.getByText('Done.').waitFor();
    await page.locator('.facts-list').getByText('mx.pages.example').first().waitFor();
    await page.getByRole('button', { name: 'Make an authority' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Pages <b>');
    check((await page.getByLabel('Domains, a line each').inputValue()).split('\n').includes(DOMAIN), 'no domain is suggested');
    await page.getByRole('dialog').getByRole('button', { name: 'Make an authority' }).click();
    await page.getByRole('button', { name: 'Certificate for a client' }).click();
    await page.getByLabel('Address').fill('alice@elsewhere.example');
    await page.getByRole('dialog').getByRole('button', { name: 'Certificate for a client' }).click();
    await page.getByRole('alert').filter({ hasText: 'own domains only' }).waitFor();
    await page.getByLabel('Address').fill(`alice@${DOMAIN}`);
    await page.getByRole('dialog').getByRole('button', { name: 'Certificate for a client' }).click();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Save the file' }).click();
    check((await download).suggestedFilename() === `alice@${DOMAIN}.p12`, 'no file came');
    await page.getByRole('dialog').getByText('Close', { exact: true }).click();
    await page.getByRole('button', { name: `Revoke – alice@${DOMAIN}` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText(/^revoked /).waitFor();
    page.complaints = page.complaints.filter((c) => !/40[13]|422/.test(c));
    return page;
  },
};

/** A message that waits: found by its destination, held, read for a reason, deleted. */
scenarios.group = async (browser) => {
  const page = await signIn(await open(browser), '/groups');
  await page.getByRole('button', { name: 'New group' }).click();
  await page.getByLabel('Name', { exact: true }).fill(HOSTILE);
  await page.getByLabel('Last day').fill('2030-03-31');
  await page.getByLabel('Its mailing list').fill(`news@${DOMAIN}`);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('heading', { name: HOSTILE }).waitFor();
  await page.getByRole('button', { name: 'Add members' }).click();
  await page.getByRole('dialog').getByLabel('Addresses').fill(`bob@${DOMAIN}\nnobody@${DOMAIN}`);
  await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText(`These are no accounts of this server: nobody@${DOMAIN}`).waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('link', { name: `bob@${DOMAIN}` }).waitFor();
  await page.getByLabel('Answer automatically').check();
  await page.getByLabel('Text', { exact: true }).fill('Back on Monday.\n' + HOSTILE);
  await page.getByLabel('Send a copy of each message to').fill('archive@elsewhere.example');
  await save(page);
  await page.getByRole('button', { name: 'Change all accounts' }).click();
  await page.getByLabel('Mailbox size in KB').fill('4321');
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
  const confirm = page.getByLabel('Password', { exact: true });
  await Promise.race([confirm.waitFor(), page.getByText('1 account was changed').waitFor()]);
  if (await confirm.isVisible()) {
    await confirm.fill(password);
    await page.keyboard.press('Enter');
  }
  await page.getByText('1 account was changed').waitFor();
  page.complaints = page.complaints.filter((c) => !c.includes('403'));
  return page;
};
/** What the server says against it is said in Japanese, its reason too. */
scenarios.in_japanese = async (browser) => {
  await signIn(await open(browser)); // for the cookie
  const page = await open(browser);
  await page.addInitScript("localStorage.setItem('lang', 'ja')");
  await signIn(page, '/tls');
  await page.getByRole('button', { name: '認証局を追加' }).click();
  await page.getByRole('dialog').locator('textarea').fill('no certificate');
  await page.getByRole('dialog').locator('button[type=submit]').click();
  const words = await page.locator('[role=alert]').innerText();
  check(words === 'この証明書は使えません (証明書 (PEM 形式、-----BEGIN CERTIFICATE-----) がありません)', words);
  page.complaints = page.complaints.filter((c) => !c.includes('422') && !c.includes('403'));
  return page;
};
scenarios.queue = async (browser) => {
  const page = await signIn(await open(browser), '/queue');
  await page.getByRole('link', { name: 'far.example', exact: true }).click();
  await page.locator('tbody a').click();
  await page.getByRole('cell', { name: 'x@far.example' }).waitFor();
  await page.getByRole('button', { name: 'Hold' }).click();
  await page.getByText('held', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Read the message' }).click();
  await page.getByLabel('Reason').fill('asked by its sender');
  await page.getByRole('dialog').getByRole('button', { name: 'Read the message' }).click();
  check((await page.getByLabel('Text of the message').textContent()).includes(HOSTILE), 'the message changed on its way');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('The message was deleted.').waitFor();
  await page.getByText('Nothing waits.').waitFor();
  await visit(page, '/audit?search=read-message');
  await page.getByRole('cell', { name: 'asked by its sender' }).waitFor();
  return page;
};

/** Figures: pictures, and the same as tables. */
scenarios.statistics = async (browser) => {
  const page = await signIn(await open(browser), '/statistics');
  await page.getByRole('img', { name: /^Logins\. Good: [1-9]/ }).waitFor();
  await page.getByLabel('Time', { exact: true }).selectOption('60d');
  const logins = page.locator('section', { has: page.getByRole('heading', { name: 'Logins' }) });
  await logins.getByText('As a table').click();
  check((await logins.getByRole('row').count()) >= 2, 'no row in the table of logins');
  return page;
};

/** A domain's figures: found by typing, and its pictures. */
scenarios['statistics of a domain'] = async (browser) => {
  const page = await signIn(await open(browser), '/statistics');
  const row = page.getByRole('row', { name: DOMAIN });
  await row.waitFor();
  check(Number(await row.getByRole('cell').nth(1).textContent()) > 0, 'nothing was accepted');
  if ((await page.getByRole('searchbox').count()) > 0) {
    await page.getByRole('searchbox').fill(DOMAIN);
    await page.getByText('more; search').waitFor({ state: 'detached' });
  }
  await row.getByRole('link').click();
  await page.getByRole('heading', { name: DOMAIN, level: 1 }).waitFor();
  await page.getByRole('img', { name: /^By SMTP, to this domain\. Accepted: [1-9]/ }).waitFor();
  await page.getByRole('link', { name: 'All domains' }).click();
  await page.getByRole('img', { name: /^Logins/ }).waitFor();
  return page;
};

/** The letter of the week: shown, and sent now. */
scenarios.weekly = async (browser) => {
  const page = await signIn(await open(browser), '/warnings');
  await page.getByRole('button', { name: 'Show the letter' }).click();
  const dialog = page.getByRole('dialog', { name: /^Weekly report of / });
  await dialog.getByText('Messages accepted').waitFor();
  await dialog.getByRole('button', { name: 'Send it now' }).click();
  await page.getByText(`The letter went to alice@${DOMAIN}.`).waitFor();
  await dialog.waitFor({ state: 'detached' });
  return page;
};

/** A stolen account: stopped, with a new password; a letter to its owner; let go. */
scenarios.emergency = async (browser) => {
  const page = await signIn(await open(browser), '/emergency');
  await page.getByLabel('Another account').fill(`dave@${DOMAIN}`);
  await page.getByRole('button', { name: 'Look into it' }).click();
  await page.getByRole('button', { name: 'Stop it, change its password, hold its mail' }).click();
  check(/^[a-z2-9]{16}$/.test(await page.locator('dialog code').textContent()), 'no password was shown');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByText('The account is stopped.').waitFor();
  await page.getByRole('button', { name: 'Write to its owner' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send' }).click();
  await page.getByText('is on its way').waitFor();
  await page.getByRole('button', { name: 'Let it go' }).click();
  await page.getByRole('button', { name: 'Stop the account' }).waitFor();
  return page;
};

/** RFC 6238 */
function codeOf(secret) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = [...secret].map((c) => letters.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const count = Buffer.alloc(8);
  count.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const mac = createHmac('sha1', key).update(count).digest();
  const n = mac.readUInt32BE(mac[19] & 15) & 0x7fffffff;
  return String(n % 1000000).padStart(6, '0');
}

/** A new administrator, his second factor, and signing in with it. */
scenarios.second_factor = async (browser) => {
  const page = await signIn(await open(browser), '/admins');
  await page.getByRole('button', { name: 'New administrator' }).click();
  await page.getByLabel('Name').fill('helper');
  await page.getByLabel('Password').fill('a-helping-word');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('cell', { name: 'helper' }).waitFor();
  const other = await open(browser, { storageState: undefined });
  const enter = async (code) => {
    await other.goto(address);
    await other.getByLabel('Name').fill('helper');
    await other.getByLabel('Password').fill('a-helping-word');
    await other.keyboard.press('Enter');
    if (code) {
      await other.getByLabel('Code', { exact: true }).fill(code);
      await other.keyboard.press('Enter');
    }
    await other.locator('nav.side').waitFor();
  };
  await enter(null);
  check((await other.getByRole('link', { name: 'Administrators' }).count()) === 0, 'he sees what is for owners');
  await visit(other, '/sign-ins');
  await other.getByRole('button', { name: 'Set it up' }).click();
  const secret = await other.getByRole('dialog').locator('code').textContent();
  await other.getByLabel('Code', { exact: true }).fill(codeOf(secret));
  await other.getByRole('button', { name: 'Confirm' }).click();
  await other.getByRole('dialog').locator('li code').first().waitFor();
  const codes = await other.getByRole('dialog').locator('li code').allTextContents();
  check(codes.length === 10, `${codes.length} recovery codes`);
  await other.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await other.getByRole('button', { name: 'Sign out', exact: true }).click();
  await enter(codes[0]);
  await other.context().close();
  return page;
};

/** One for a domain is made; what he sees is about it, and he is told of a limit. */
scenarios.delegate = async (browser) => {
  const page = await signIn(await open(browser), '/delegates');
  await page.getByRole('button', { name: 'New domain administrator' }).click();
  await page.getByLabel('Name', { exact: true }).fill('deputy');
  await page.getByLabel('Password', { exact: true }).fill('a-deputys-word');
  await page.getByLabel('Domains', { exact: true }).fill(`${DOMAIN}, `);
  await page.getByLabel('Most accounts').fill('1');
  await page.getByLabel('Mail address', { exact: true }).fill(`alice@${DOMAIN}`);
  await page.getByLabel('Who helps').fill('Hanako');
  await page.getByRole('button', { name: 'Add' }).click();
  await page.getByRole('heading', { name: 'deputy' }).waitFor();
  const narrow = { viewport: { width: 390, height: 800 }, bypassCSP: true };
  const other = await open(browser, { ...narrow, storageState: undefined });
  await other.goto(address);
  await other.getByLabel('Name').fill('deputy');
  await other.getByLabel('Password').fill('a-deputys-word');
  await other.keyboard.press('Enter');
  await other.getByText('Hanako').waitFor();
  other.complaints = other.complaints.filter((c) => !c.includes('401'));
  const places = await other.locator('nav.side .places a').allTextContents();
  check(places.length === 10, `his menu has ${places}`);
  await inspect(other, ['/', '/domains', `/domains/${DOMAIN}`, '/accounts', `/accounts/${DOMAIN}/alice`, '/lists',
    `/lists/${DOMAIN}/news`, '/aliases', '/statistics', `/statistics?domain=${DOMAIN}`, '/sign-ins', '/tokens', '/audit'], 'en');
  check(other.complaints.length === 0, other.complaints.join('; '));
  await visit(other, '/accounts');
  await other.getByRole('button', { name: 'New account' }).click();
  await other.getByLabel('Name (before the @)').fill('onemore');
  await other.getByRole('button', { name: 'Add' }).click();
  await other.getByText('A limit of your account is reached.').waitFor();
  await page.reload();
  await page.getByText(/^Signed in last /).waitFor();
  await page.getByRole('button', { name: `Write to alice@${DOMAIN}` }).click();
  await page.getByLabel('Subject').fill('your domains');
  await page.getByLabel('Text').fill('Hello');
  await page.getByRole('dialog').getByRole('button', { name: 'Send' }).click();
  await page.getByText('is on its way').waitFor();
  await page.getByRole('button', { name: 'Stop – deputy' }).click();
  await page.getByRole('heading', { name: 'deputy Stopped' }).waitFor();
  await other.goto(address + '/accounts');
  await other.getByLabel('Password').waitFor();
  await page.getByRole('button', { name: 'Let go again – deputy' }).click();
  await page.getByRole('button', { name: 'Stop – deputy' }).waitFor();
  await other.context().close();
  return page;
};

scenarios.token_and_record = async (browser) => {
  const page = await signIn(await open(browser), '/tokens');
  await page.getByRole('button', { name: 'New token' }).click();
  await page.getByLabel('What it is for').fill(HOSTILE);
  await page.getByLabel('Areas').fill('domains');
  await page.getByRole('button', { name: 'Add' }).click();
  const token = await page.getByRole('dialog').locator('code').textContent();
  const ask = (path) => fetch(address + '/api/v1' + path, { headers: { Authorization: 'Bearer ' + token } });
  check((await ask('/domains')).status === 200, 'the token opens nothing');
  check((await ask('/users')).status === 403, 'the token opens everything');
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await page.getByRole('row', { name: 'onerror' }).getByRole('button', { name: 'Take back' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Take back' }).click();
  await page.getByText('No tokens.').waitFor();
  check((await ask('/domains')).status === 401, 'the token still opens something');
  await visit(page, '/audit?search=useradd');
  await page.getByRole('cell', { name: `useradd ${DOMAIN} carol` }).waitFor();
  return page;
};

scenarios.on_trial = async (browser) => {
  const page = await signIn(await open(browser), '/tables/smtprelay.tab');
  const add = async (address) => {
    await page.getByRole('button', { name: 'New row' }).click();
    await page.getByRole('dialog').getByLabel('Network').fill(address);
    await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: address }).waitFor();
  };
  await page.getByLabel('Take changes back after ten minutes').check();
  await add('192.0.2.61');
  await page.getByRole('button', { name: 'Confirm' }).click();
  await page.getByText('The change stays.').waitFor();
  await page.getByLabel('Take changes back after ten minutes').uncheck();
  await add('192.0.2.62');
  await page.getByRole('link', { name: 'History of tables' }).first().click();
  await page.getByRole('link', { name: /^Change \d+$/ }).first().click();
  await page.getByText('+ 192.0.2.62').waitFor();
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('The change was taken back.').waitFor();
  await page.getByRole('link', { name: /^taken back by/ }).click();
  await page.getByText('− 192.0.2.62').waitFor();
  return page;
};

/** A folder is given, a backup made, a mailbox restored from it. */
scenarios.backups = async (browser) => {
  const page = await signIn(await open(browser), '/backups');
  await page.getByText('There is no folder for backups yet').waitFor();
  await page.getByRole('main').getByRole('link', { name: 'Settings' }).click();
  await page.getByLabel('BackupFolder', { exact: true }).fill(process.env.BACKUPS);
  await save(page);
  const make = page.getByRole('button', { name: 'Back up now' });
  await until('the folder has no effect', async () => {
    await visit(page, '/warnings');
    await visit(page, '/backups');
    return make.isVisible();
  });
  await until('no backup begins', async () => { // control may see the folder a moment later
    const asked = page.waitForResponse((r) => r.request().method() === 'POST' && r.url().endsWith('/backups'));
    await make.click();
    return (await asked).ok();
  });
  await page.getByRole('heading', { name: 'Backup done' }).waitFor();
  await page.getByRole('button', { name: 'Restore' }).first().click();
  await page.getByLabel('What').selectOption({ label: 'a folder of an account' });
  await page.getByLabel('Address').fill(`alice@${DOMAIN}`);
  await page.getByLabel('Where to').selectOption({ label: 'aside, into a folder of its own' });
  await page.getByRole('dialog').getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('heading', { name: /^Restoring alice.* done$/ }).waitFor();
  await page.getByRole('heading', { name: 'Restored aside' }).waitFor();
  page.complaints = page.complaints.filter((c) => !c.includes('409')); // settings count within a second
  return page;
};

scenarios.manual = async (browser) => {
  const page = await signIn(await open(browser), '/tls');
  await page.locator('.manual-link').click();
  await page.locator('#certificate:focus').waitFor();
  await page.getByRole('navigation', { name: 'Contents' }).getByRole('link', { name: 'Backup' }).click();
  await page.locator('#backup:focus').waitFor();
  return page;
};

/** Pictures of pages in both languages for the manual: make images. */
const images = async (browser) => {
  const shown = {
    overview: '/', accounts: '/accounts', account: `/accounts/${DOMAIN}/alice`, list: `/lists/${DOMAIN}/news`, queue: '/queue',
    trace: '/trace?about=alice', explain: '/explain?client=192.0.2.7&service=smtp', filters: '/filters', tls: '/tls', settings: '/settings',
    warnings: '/warnings', history: '/history',
  };
  let page;
  for (const lang of ['en', 'ja']) {
    await page?.context().close();
    page = await signIn(await open(browser, { viewport: { width: 1000, height: 640 }, colorScheme: 'light' }));
    await page.evaluate((to) => localStorage.setItem('lang', to), lang);
    await page.reload();
    for (const [name, path] of Object.entries(shown)) {
      await visit(page, path);
      await page.screenshot({ path: `${process.env.IMAGES}/${name}.${lang}.png` });
    }
  }
  return page;
};
if (process.env.IMAGES) scenarios.images = images;

/** The last of all: sign-ins end. */
const restart = async (browser) => {
  const page = await signIn(await open(browser), '/settings');
  await page.getByLabel('MaxSessions', { exact: true }).fill('19000');
  await save(page);
  await page.getByText('Saved, but in force only after a restart: MaxSessions').waitFor();
  await page.getByRole('button', { name: 'Restart' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Restart' }).click();
  await page.locator('.signin').waitFor();
  page.complaints = [];
  return page;
};

/** What axe finds, and what is wider than the window, on every page. */
/** No fault that axe finds, nothing wider than the window, the language asked for. */
async function inspect(page, paths, words) {
  const found = [];
  await page.evaluate(axe);
  for (const path of paths) {
    await visit(page, path);
    const result = await page.evaluate(() => window.axe.run(document));
    for (const v of result.violations) found.push(`${path}: ${v.id} at ${v.nodes[0].target}: ${v.nodes[0].html}`);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) found.push(`${path}: ${wide} pixels wider than the window`);
    const lang = await page.evaluate(() => document.documentElement.lang);
    if (lang !== words) found.push(`${path}: its language is ${lang}`);
  }
  check(found.length === 0, found.join('\n'));
}

async function looks(browser, options, words) {
  const page = await open(browser, { ...options, bypassCSP: true });
  await page.addInitScript(`localStorage.setItem('lang', '${words}')`);
  await signIn(page);
  await inspect(page, pages, words);
  page.complaints = page.complaints.filter((c) => !c.includes('404')); // a message that is gone
  return page;
}
scenarios.looks_wide = (b) => looks(b, { viewport: { width: 1280, height: 900 } }, 'en');
scenarios.looks_narrow = (b) =>
  looks(b, { viewport: { width: 390, height: 800 }, colorScheme: 'dark' }, 'ja');

scenarios.restart = restart;

async function main() {
  const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'];
  const browser = await chromium.launch({ executablePath, args });
  for (const [name, run] of Object.entries(scenarios)) {
    const began = Date.now();
    let problem = null;
    try {
      const page = await run(browser);
      if (page.complaints.length > 0) problem = page.complaints.join('; ');
      await page.context().close();
    } catch (e) {
      problem = e.message;
    }
    console.log(JSON.stringify({ name, problem, seconds: (Date.now() - began) / 1000 }));
  }
  await browser.close();
}
main();
