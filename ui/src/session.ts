// Who is signed in.
import { signal } from "@preact/signals";
import { get, post, remove } from "./api";

export type Session = { name: string; right: "viewer" | "admin" | "owner" | "domain"; confirmed: boolean; version: string };

/** undefined: not known yet; null: nobody. */
export const session = signal<Session | null | undefined>(undefined);

export async function load(): Promise<void> {
  try {
    session.value = await get<Session>("/session");
  } catch {
    session.value = null;
  }
}

export async function signIn(name: string, password: string, code: string): Promise<void> {
  session.value = await post<Session>("/session", { name, password, ...(code ? { code } : {}) });
}

export async function signOut(): Promise<void> {
  await remove("/session");
  session.value = null;
}

export const isOwner = () => session.value?.right === "owner";
/** Administers some domains only. */
export const isDelegate = () => session.value?.right === "domain";
export const mayWrite = () => session.value?.right === "admin" || isOwner() || isDelegate();
/** May change what isn't of one domain. */
export const mayWriteAll = () => mayWrite() && !isDelegate();
