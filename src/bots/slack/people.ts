import type { Clock } from "../core/pace.ts";
import type { Workspace } from "./payload.ts";
import type { SlackWire } from "./wire.ts";

export interface Person {
  /** Such as `de-DE`. */
  locale: string;
  /** An admin or owner of the workspace. */
  admin: boolean;
}

/** A form opens within 3 seconds, in whichever language. */
const PATIENCE_MS = 1_000;
const FRESH_MS = 10 * 60_000;
const MOST = 5_000;
const STRANGER: Person = { locale: "en", admin: false };

/** Slack says with no command who speaks which language; it is asked, seldom. */
export class People {
  readonly #clock: Clock;
  readonly #known = new Map<string, { at: number; person: Promise<Person> }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Somebody whom Slack does not tell of speaks English and moderates nothing. */
  async of(wire: SlackWire, workspace: Workspace, user: string): Promise<Person> {
    const late = this.#clock.sleep(PATIENCE_MS).then(() => STRANGER);
    return Promise.race([this.#find(wire, workspace, user), late]);
  }

  #find(wire: SlackWire, { team }: Workspace, user: string): Promise<Person> {
    const name = `${team}:${user}`;
    const known = this.#known.get(name);
    if (known && this.#clock.now() - known.at < FRESH_MS) return known.person;
    const person = ask(wire, user).catch(() => {
      this.#known.delete(name);
      return STRANGER;
    });
    if (this.#known.size >= MOST) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(name, { at: this.#clock.now(), person });
    return person;
  }
}

async function ask(wire: SlackWire, user: string): Promise<Person> {
  const { user: found } = await wire.call<{ user: { locale?: string; is_admin?: boolean; is_owner?: boolean } }>(
    "users.info",
    { user, include_locale: true },
  );
  return { locale: found.locale ?? "en", admin: Boolean(found.is_admin || found.is_owner) };
}
