import { buttonsOf } from "./slack-read.ts";
import {
  ACK_MS,
  BOT_USER,
  type Body,
  CHANNEL,
  type FakeDelivery,
  type FakeSlackMessage,
  type ResponseUrl,
  TEAM,
  USER,
  type Workspace,
} from "./slack-state.ts";

/** What people do in Slack, as it delivers that, and the answers it takes. */
export abstract class SlackPeople {
  readonly workspaces = new Map<string, Workspace>();
  readonly deliveries = new Map<string, FakeDelivery>();
  readonly views = new Map<string, Body>();
  /** Everything that was refused, as `method error`. */
  readonly refusals: string[] = [];
  /** Where its addresses are. */
  origin = "http://slack.test";
  protected readonly now: () => number;
  protected readonly triggers = new Map<string, { at: number; used: boolean }>();
  protected readonly urls = new Map<string, ResponseUrl>();
  #ids = 1000;

  constructor(now: () => number) {
    this.now = now;
  }

  workspace(team = TEAM): Workspace {
    const found = this.workspaces.get(team);
    if (!found) throw new Error(`no workspace ${team}`);
    return found;
  }

  protected id(prefix: string): string {
    this.#ids++;
    return `${prefix}${this.#ids}`;
  }

  #trigger(): string {
    const id = `${this.id("")}.2222.${"a".repeat(32)}`;
    this.triggers.set(id, { at: this.now(), used: false });
    return id;
  }

  #responseUrl(team: string, channel: string, user: string, message: FakeSlackMessage | null): string {
    const id = this.id("r");
    this.urls.set(id, { at: this.now(), uses: 0, team, channel, user, message });
    return `${this.origin}/response/${id}`;
  }

  #deliver(kind: FakeDelivery["kind"], payload: Body): FakeDelivery {
    const delivery = { id: this.id("e"), kind, payload, at: this.now(), ackedAt: null, ack: {} };
    this.deliveries.set(delivery.id, delivery);
    return delivery;
  }

  command(text: string, { name = "/imagine", team = TEAM, channel = CHANNEL, user = USER } = {}): FakeDelivery {
    const inert = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    // Where the manifest says should_escape, people who are named come as ids.
    const slack = name === "/vignette" ? inert.replace(/@(U\w+)/g, "<@$1|somebody>") : inert;
    return this.#deliver("slash_commands", {
      token: "legacy",
      command: name,
      text: slack,
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, null),
      team_id: team,
      team_domain: "test",
      channel_id: channel,
      channel_name: "general",
      user_id: user,
      user_name: "ada",
      api_app_id: "A1",
      is_enterprise_install: "false",
    });
  }

  /** A press of the button with this label on a message. */
  press(message: FakeSlackMessage, label: string, { user = USER } = {}): FakeDelivery {
    const button = buttonsOf(message.blocks).find((one) => one.label === label);
    if (!button) throw new Error(`no button ${label} in: ${JSON.stringify(message.blocks)}`);
    const { team, channel, ts, thread, to } = message;
    const shown = { type: "message", ts, user: BOT_USER, text: message.text, blocks: message.blocks };
    return this.#deliver("interactive", {
      type: "block_actions",
      team: { id: team, domain: "test" },
      user: { id: user, username: "ada", team_id: team },
      api_app_id: "A1",
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, message),
      container: {
        type: "message",
        message_ts: ts,
        channel_id: channel,
        is_ephemeral: to !== null,
        ...(thread ? { thread_ts: thread } : {}),
      },
      channel: { id: channel, name: "general" },
      // Of a message that one person sees, Slack tells no more than its time.
      ...(to === null ? { message: thread ? { ...shown, thread_ts: thread } : shown } : {}),
      is_enterprise_install: false,
      actions: [{ type: "button", action_ts: "1.0", block_id: "b", ...button }],
    });
  }

  /** A press of a button on somebody's Home. */
  pressHome(label: string, { team = TEAM, user = USER } = {}): FakeDelivery {
    const view = this.workspace(team).homes.get(user);
    const button = buttonsOf((view?.blocks ?? []) as Body[]).find((one) => one.label === label);
    if (!button) throw new Error(`no button ${label} on the Home`);
    return this.#deliver("interactive", {
      type: "block_actions",
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      container: { type: "view", view_id: "VH" },
      is_enterprise_install: false,
      actions: [{ type: "button", action_ts: "1.0", block_id: "b", ...button }],
    });
  }

  /** The message shortcut on somebody's message. */
  shortcut(callback_id: string, text: string, { team = TEAM, channel = CHANNEL, user = USER } = {}): FakeDelivery {
    return this.#deliver("interactive", {
      type: "message_action",
      callback_id,
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      response_url: this.#responseUrl(team, channel, user, null),
      channel: { id: channel },
      message_ts: "1700000000.000100",
      message: { type: "message", ts: "1700000000.000100", user: "U7", text },
      is_enterprise_install: false,
    });
  }

  /** A form as it is sent. */
  submit(viewId: string, fields: Record<string, string>, { team = TEAM, user = USER } = {}): FakeDelivery {
    const view = this.views.get(viewId);
    if (!view) throw new Error(`no view ${viewId}`);
    const values = Object.fromEntries(
      Object.entries(fields).map(([name, value]) => [name, { [name]: { type: "plain_text_input", value } }]),
    );
    return this.#deliver("interactive", {
      type: "view_submission",
      team: { id: team },
      user: { id: user, team_id: team },
      trigger_id: this.#trigger(),
      view: { ...view, id: viewId, state: { values } },
      response_urls: [],
      is_enterprise_install: false,
    });
  }

  event(event: Body, { team = TEAM, id = this.id("Ev") } = {}): FakeDelivery {
    return this.#deliver("events_api", {
      type: "event_callback",
      token: "legacy",
      team_id: team,
      api_app_id: "A1",
      event_id: id,
      event_time: Math.floor(this.now() / 1000),
      authorizations: [
        { enterprise_id: null, team_id: team, user_id: BOT_USER, is_bot: true, is_enterprise_install: false },
      ],
      event,
    });
  }

  mention(text: string, { thread, team = TEAM, id }: { thread?: string; team?: string; id?: string } = {}) {
    const event = { type: "app_mention", user: USER, text: `<@${BOT_USER}> ${text}`, channel: CHANNEL };
    return this.event(
      { ...event, ts: "1700000001.000100", event_ts: "1.0", ...(thread ? { thread_ts: thread } : {}) },
      { team, ...(id ? { id } : {}) },
    );
  }

  /** Takes the answer to a delivery, as both transports do. */
  acknowledge(id: string, ack: Body = {}): void {
    const delivery = this.deliveries.get(id);
    if (!delivery) throw new Error(`nothing like ${id} was delivered`);
    if (delivery.ackedAt !== null) throw new Error(`${id} was answered twice`);
    if (this.now() - delivery.at > ACK_MS) {
      this.refusals.push(`${delivery.kind} operation_timeout`);
      return;
    }
    if (delivery.payload.type === "view_submission" && ack.response_action === "errors") {
      const inputs = (((delivery.payload.view as Body).blocks ?? []) as Body[]).map(({ block_id }) => block_id);
      for (const name of Object.keys(ack.errors as Body))
        if (!inputs.includes(name)) throw new Error(`the form has no field ${name}`);
    } else if (Object.keys(ack).length > 0 && ack.response_type !== "ephemeral")
      throw new Error(`an answer that is none: ${JSON.stringify(ack)}`);
    delivery.ackedAt = this.now();
    delivery.ack = ack;
  }
}
