// What the server says in English sentences (reasons, details), for those who read Japanese. `{}` stands for a value, in the
// order of the English; values that are such sentences are said in Japanese, too. tools/lint.py looks whether the program
// still says each of them.
import { lang } from "./i18n";

const sentences: [en: string, ja: string][] = [
  // changes and orders
  ["mail may not be sent on to other servers", "他のサーバーへの転送は許可されていません"],
  ["the letter is too long, or has a line that is", "メールが長すぎるか、長すぎる行があります"],
  ["the file is too large", "ファイルが大きすぎます"],
  ["the message is too large to be shown", "メッセージが大きすぎて表示できません"],
  ["the message can't be read", "メッセージを読めません"],
  ["the server doesn't run", "サーバーが動いていません"],
  ["the control role is busy", "管理プロセスが混み合っています"],
  ["the control role's answer isn't one", "管理プロセスの応答が正しくありません"],
  ["the control role's answer is too long", "管理プロセスの応答が長すぎます"],
  ["the history can't be opened", "履歴を開けません"],
  ["the history can't be read", "履歴を読めません"],
  ["what was changed in {} isn't known", "{} の変更内容が分かりません"],
  ["these lines of {} were changed since", "{} のこの行は、その後に変更されています"],
  ["out of memory", "メモリーが足りません"],
  ["it said no", "許可されませんでした"],
  // values
  ["there is no such item", "その項目はありません"],
  ["not a domain of this server", "このサーバーのドメインではありません"],
  ["not a number", "数ではありません"],
  ["neither 0 nor 1", "0 か 1 ではありません"],
  ["not a list of networks", "ネットワークの一覧ではありません"],
  ["not like 08:00-18:00", "08:00-18:00 の形ではありません"],
  ['"{}" is no column', "「{}」という列はありません"],
  ["more than {} lines", "{} 行を超えています"],
  ['"{}" is not a number', "「{}」は数ではありません"],
  ["must be scram, yescrypt or xmcrypt", "scram、yescrypt、xmcrypt のどれかにしてください"],
  ["must be 0 or 1", "0 か 1 にしてください"],
  ['"{}" is not a number of kilobytes', "「{}」は KB 単位の数ではありません"],
  ['bad port in "{}"', "「{}」のポートが正しくありません"],
  ['"{}" is not ip, ip:port or [ip6]:port', "「{}」は ip、ip:port、[ip6]:port の形ではありません"],
  ["unknown variable {}", "{} という変数はありません"],
  ["the password holds characters that SCRAM can't take", "パスワードに SCRAM で使えない文字があります"],
  ["line longer than {} octets", "{} バイトを超える行です"],
  ["a NUL octet", "NUL 文字があります"],
  ["more than {} values", "値が {} 個を超えています"],
  ["value {} has no closing quote", "{} 番目の値の引用符が閉じていません"],
  ["text behind the closing quote of value {}", "{} 番目の値の引用符の後ろに文字があります"],
  ["about is an id, an address or a Message-ID", "ID、アドレス、Message-ID のどれかを指定してください"],
  ["{} must be a list of at most {}", "{} は {} 件までです"],
  ["to must be a list of at most {} addresses", "宛先は {} 件までです"],
  ["addresses must be a list of at most {}", "アドレスは {} 件までです"],
  ["{} holds control characters", "{} に制御文字があります"],
  ["a line isn't a list of words that a table can hold", "テーブルに書けない行があります"],
  ["days must be a number", "日数は数で指定してください"],
  ["this table can't be without a file", "このテーブルのファイルは削除できません"],
  // certificates
  ["the certificate can't be used: {}", "{}"],
  ["it holds no certificate (PEM: -----BEGIN CERTIFICATE-----)", "証明書 (PEM 形式、-----BEGIN CERTIFICATE-----) がありません"],
  ["it is too large", "大きすぎます"],
  ["{} holds no certificate", "{} に証明書がありません"],
  ["the certificate and the key don't belong together: {}", "証明書と秘密鍵の組が合いません ({})"],
  ["the authority may sign for its own domains only", "認証局の発行の対象に入っていない名前です"],
  ["the authority's certificate can't be read", "認証局の証明書を読めません"],
  ["{} must be text in PEM", "{} は PEM 形式で入力してください"],
  // certificates by ACME
  ["AcmeNames: {} can't be ordered", "AcmeNames の {} は発行を依頼できません"],
  ["AcmeNames names nothing", "AcmeNames に名前がありません"],
  ["the relay role doesn't take the order", "外部接続プロセスが依頼を受け付けません"],
  ["a certificate is being ordered already", "証明書の発行を依頼中です"],
  ["the authority's answer can't be used: {}", "認証局の応答を使えません ({})"],
  ["the account's key can't be used", "ACME アカウントの鍵を使えません"],
  [
    "the authority wants an account of its own first: put its key id and secret into acmekeys.tab",
    "認証局のアカウントが必要です。鍵 ID と秘密を acmekeys.tab に書いてください",
  ],
  ["the secret in acmekeys.tab isn't base64url", "acmekeys.tab の秘密が base64url ではありません"],
  ["the authority took too long", "認証局の応答に時間がかかりすぎています"],
  ["{} couldn't be proved: {}", "{} の所有を確認できませんでした ({})"],
  ["the authority doesn't offer {} for {}{}", "認証局は {1}{2} の確認に {0} を使えません"],
  ["the authority refused the order: {}", "認証局に断られました ({})"],
  ["acmedns.tab names no program that changes the DNS", "acmedns.tab に DNS を変更するプログラムがありません"],
  ["the order took too long", "発行に時間がかかりすぎています"],
  ["the authority must be reached by https", "認証局の URL は https にしてください"],
  ["the authority's URL is {}", "認証局の URL が正しくありません ({})"],
  ["{} answers {}", "{} の応答: {}"],
  ["the authority says: {}", "認証局の応答: {}"],
  ["the control role doesn't answer", "管理プロセスが応答しません"],
  // backups
  ["{} lies in the MailRoot", "{} は MailRoot の中にあります"],
  ["not a manifest", "バックアップの目録ではありません"],
  ["the manifest is cut short", "バックアップの目録が途中で切れています"],
  ["{} is no snapshot: it has no manifest", "{} はバックアップではありません (目録がありません)"],
  ["{} is damaged: it has no end", "{} は壊れています (終わりがありません)"],
  ["the snapshot has no account {}@{}", "バックアップにアカウント {}@{} はありません"],
  ["the snapshot has no {}", "バックアップに {} はありません"],
  ["{} isn't empty: nothing is written over", "{} が空でないため、上書きしません"],
  ["there is no such backup", "そのバックアップはありません"],
  ["BackupFolder isn't set, or isn't a path from the root", "BackupFolder が未設定か、絶対パスではありません"],
  ["is missing", "ありません"],
  ["can't be opened", "開けません"],
  ["can't be read", "読めません"],
  ["has other content than when it was made", "作成時と内容が違います"],
  ["can't be read: not restored", "読めないため、復元しませんでした"],
  ["has other content than when it was made: not restored", "作成時と内容が違うため、復元しませんでした"],
  // checks of clients
  ["the table can't be read now", "テーブルを読めません"],
  ["by an administrator", "管理者による"],
  ["{}, {} in {} seconds", "{}、{2} 秒間に {1} 件"],
  ["no reverse name", "逆引きできません"],
  ["logging in needs TLS here", "ここでの認証には TLS が必要です"],
  ["nobody can log in as {}", "{} でログインできるアカウントはありません"],
  // mail
  ["the account doesn't exist any more", "アカウントはすでにありません"],
  ["the account doesn't take mail", "アカウントはメールを受け取りません"],
  ["the list doesn't take mail", "リストはメールを受け取りません"],
  ["mailbox is full", "メールボックスがいっぱいです"],
  ["message is larger than the mailbox may be", "メールボックスの上限より大きいメールです"],
  ["mailbox is in use", "メールボックスが使用中です"],
  ["its address means something else now", "アドレスの意味が変わりました"],
  ["it was sent on by {} before: a loop", "{} から一度転送されています (ループ)"],
  ["it went through too many servers: a loop", "経由したサーバーが多すぎます (ループ)"],
  ["refused by a filter", "フィルターが拒否しました"],
  ["could not be delivered in time{}{}", "期限内に配送できませんでした{}{}"],
  ["it offers no TLS, which is demanded", "相手が TLS に対応していません (TLS 必須)"],
  ["{} has no address", "{} のアドレスがありません"],
  ["login refused: {}", "認証を拒否されました ({})"],
  ["the server doesn't offer AUTH {}, which userauth/smtp asks for", "相手が AUTH {} に対応していません (userauth/smtp の指定)"],
  ["no password is sent without TLS (NeedTLS=0 would allow it)", "TLS なしではパスワードを送りません (NeedTLS=0 で許可)"],
  ["the mail would come back to this server", "このサーバーに戻ってきます"],
  ["no mail server of the domain has an address", "ドメインのメールサーバーにアドレスがありません"],
  ["the domain {} doesn't exist", "ドメイン {} は存在しません"],
  ["the domain takes no mail (null MX)", "ドメインはメールを受け取りません (null MX)"],
  ["the domain has no mail server and no address", "ドメインにメールサーバーもアドレスもありません"],
  ["a table of routes can't be read", "経路のテーブルを読めません"],
  ["the sender may not post to this list", "送信者はこのリストに投稿できません"],
  ["the list has no moderator", "リストに承認者がいません"],
  ["it had to wait too long for its turn", "順番待ちが長すぎました"],
  ["the filter left no FILE", "フィルターが FILE を残しませんでした"],
  ["the filter changed the lines of the envelope", "フィルターがエンベロープの行を変えました"],
];

/** Reasons that the system gives, behind a colon. */
const system: Record<string, string> = {
  "No space left on device": "ディスクに空きがありません",
  "Disk quota exceeded": "ディスクの割り当てを使い切りました",
  "Permission denied": "権限がありません",
  "Operation not permitted": "許可されていません",
  "No such file or directory": "ファイルがありません",
  "File exists": "すでにあります",
  "Not a directory": "フォルダーではありません",
  "Is a directory": "フォルダーです",
  "Read-only file system": "読み取り専用です",
  "Input/output error": "入出力エラーです",
  "Too many open files": "開いているファイルが多すぎます",
  "Cannot allocate memory": "メモリーが足りません",
  "Connection refused": "接続を拒否されました",
  "Connection timed out": "接続が時間切れになりました",
  "Connection reset by peer": "接続を切られました",
  "No route to host": "経路がありません",
  "Network is unreachable": "ネットワークに届きません",
  "Broken pipe": "接続を切られました",
};

let patterns: [RegExp, string][] | undefined;

function pattern(en: string): RegExp {
  const parts = en.split("{}").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp("^" + parts.join("([\\s\\S]*?)") + "$");
}

/** The text in the reader's language, where it is known. */
export function said(text: string): string {
  if (lang.value === "en") return text;
  patterns ??= sentences.map(([en, ja]) => [pattern(en), ja]);
  for (const [known, ja] of patterns) {
    const found = known.exec(text);
    if (!found) continue;
    let next = 1;
    return ja.replace(/\{(\d?)\}/g, (_, n: string) => said(found[n === "" ? next++ : Number(n) + 1] ?? ""));
  }
  const colon = text.lastIndexOf(": ");
  const reason = system[colon < 0 ? text : text.slice(colon + 2)];
  return reason === undefined ? text : colon < 0 ? reason : `${text.slice(0, colon)}: ${reason}`;
}
