// The server's API: every request of the pages goes through here.

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly number?: number,
    readonly values: Record<string, string | number> = {},
  ) {
    super(message);
  }
}

/** Called when the sign-in has ended. */
let onSignedOut: () => void = () => undefined;
export function whenSignedOut(fn: () => void): void {
  onSignedOut = fn;
}
/** Asks for the password once more; resolves to true when it was given. */
let confirmPassword: () => Promise<boolean> = async () => false;
export function whenConfirmNeeded(fn: () => Promise<boolean>): void {
  confirmPassword = fn;
}

async function request(method: string, path: string, body?: unknown): Promise<Response> {
  const headers: Record<string, string> = { "X-Hikyaku": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch("/api/v1" + path, {
      method,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "network", "the server can't be reached");
  }
  if (response.ok) return response;
  const value = await response.json().catch(() => null);
  throw new ApiError(
    response.status,
    value?.error ?? "failed",
    value?.detail ?? response.statusText,
    value?.number,
    value?.values,
  );
}

async function send(method: string, path: string, body?: unknown): Promise<Response> {
  try {
    return await request(method, path, body);
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    if (e.code === "confirm" && (await confirmPassword())) return await request(method, path, body);
    if (e.code === "sign-in") onSignedOut();
    throw e;
  }
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await send(method, path, body);
  return (response.status === 204 ? undefined : await response.json().catch(() => null)) as T;
}

/** An answer that isn't JSON, whole. */
export async function text(method: string, path: string, body?: unknown): Promise<Blob> {
  return await (await send(method, path, body)).blob();
}

export const get = <T>(path: string) => call<T>("GET", path);
export const post = <T>(path: string, body?: unknown) => call<T>("POST", path, body ?? {});
export const put = <T>(path: string, body: unknown) => call<T>("PUT", path, body);
export const patch = <T>(path: string, body: unknown) => call<T>("PATCH", path, body);
export const remove = <T>(path: string) => call<T>("DELETE", path);
