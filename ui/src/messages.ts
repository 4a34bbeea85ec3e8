// The words of the pages: key: [English, Japanese]. build.mjs looks for gaps.
import { backups } from "./messages/backups";
import { checks } from "./messages/checks";
import { delegates } from "./messages/delegates";
import { frame } from "./messages/frame";
import { groups } from "./messages/groups";
import { history } from "./messages/history";
import { mail } from "./messages/mail";
import { operate } from "./messages/operate";
import { people } from "./messages/people";
import { server } from "./messages/server";
import { statistics } from "./messages/statistics";
import { tls } from "./messages/tls";

export type Catalogue = Record<string, [en: string, ja: string]>;
export const messages = { ...frame, ...mail, ...server, ...people, ...operate, ...checks, ...delegates, ...tls, ...history, ...backups, ...statistics, ...groups };
