import type { Installation } from "./installations.ts";

export interface ExchangeOptions {
  /** Slack's Web API with its last slash. */
  apiUrl: string;
  clientId: string;
  clientSecret: string;
  redirectUri: string;
  /** What Slack sent the administrator back with. */
  code: string;
}

interface Granted {
  ok: boolean;
  error?: string;
  access_token?: string;
  bot_user_id?: string;
  app_id?: string;
  team?: { id: string } | null;
  enterprise?: { id: string } | null;
  is_enterprise_install?: boolean;
}

/** Turns a code into a bot token (docs.slack.dev/authentication/installing-with-oauth). @returns Slack's word when it refuses */
export async function exchange(options: ExchangeOptions, send: typeof fetch): Promise<Installation | string> {
  const { apiUrl, clientId, clientSecret, redirectUri, code } = options;
  const response = await send(new URL("oauth.v2.access", apiUrl).href, {
    method: "POST",
    headers: {
      Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
      "Content-Type": "application/x-www-form-urlencoded",
    },
    body: new URLSearchParams({ code, redirect_uri: redirectUri }).toString(),
  });
  const granted = (await response.json()) as Granted;
  const { access_token: token, bot_user_id: botUser } = granted;
  if (!granted.ok || !token || !botUser) return granted.error ?? "no token";
  const org = granted.is_enterprise_install ? (granted.enterprise?.id ?? null) : null;
  return { team: granted.team?.id ?? "", org, token, botUser, bot: granted.app_id ?? "" };
}
