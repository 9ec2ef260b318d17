/** The parts of what Slack sends that are read here (docs.slack.dev: interactivity, apis/events-api). */
export interface SlackCommand {
  command: string;
  text: string;
  trigger_id: string;
  response_url: string;
  team_id: string;
  enterprise_id?: string;
  is_enterprise_install?: string | boolean;
  user_id: string;
  channel_id: string;
}

/** Buttons, shortcuts and submitted forms. */
export interface SlackInteraction {
  type: "block_actions" | "message_action" | "view_submission";
  team: { id: string; enterprise_id?: string } | null;
  enterprise?: { id: string } | null;
  is_enterprise_install?: boolean;
  user: { id: string; team_id?: string };
  trigger_id: string;
  response_url?: string;
  callback_id?: string;
  channel?: { id: string };
  message?: SlackMessage;
  container?: { type: string; message_ts?: string; thread_ts?: string; is_ephemeral?: boolean; view_id?: string };
  actions?: { action_id: string; value?: string; action_ts?: string }[];
  view?: SlackView;
}

export interface SlackMessage {
  ts: string;
  thread_ts?: string;
  text?: string;
  user?: string;
  blocks?: SlackBlock[];
}

export interface SlackBlock {
  type: string;
  block_id?: string;
  text?: { type: string; text: string };
  elements?: { type: string; action_id?: string; text?: { text: string } | string }[];
}

export interface SlackView {
  id: string;
  callback_id: string;
  private_metadata?: string;
  state?: { values: Record<string, Record<string, { value?: string | null }>> };
}

export interface SlackEvent {
  type: "event_callback";
  team_id: string;
  enterprise_id?: string | null;
  event_id: string;
  authorizations?: { is_enterprise_install?: boolean; enterprise_id?: string | null; user_id?: string }[];
  event: {
    type: string;
    user?: string;
    bot_id?: string;
    text?: string;
    channel?: string;
    ts?: string;
    thread_ts?: string;
    tab?: string;
    tokens?: { oauth?: string[]; bot?: string[] };
  };
}

/** What Slack delivered, by whichever transport. */
export type Delivery =
  | { kind: "command"; body: SlackCommand }
  | { kind: "interaction"; body: SlackInteraction }
  | { kind: "event"; body: SlackEvent };

/** Whose workspace it is: `org` where the app was installed for a whole organisation. */
export interface Workspace {
  team: string;
  org: string | null;
}

/** Who asks for something, where, and how they can be answered. */
export interface Ask extends Workspace {
  /** The same however often Slack delivers it. */
  request: string;
  user: string;
  channel: string | null;
  thread: string | null;
  /** The message that was pressed or chosen. */
  message: SlackMessage | null;
  /** It was pressed in a message that only this person sees. */
  hidden: boolean;
  responseUrl: string | null;
  /** Opens a form within 3 seconds. */
  trigger: string | null;
  /** Milliseconds since 1970 when it came. */
  arrived: number;
}

/** @param arrived milliseconds since 1970 */
export function askOf({ kind, body }: Delivery, arrived: number): Ask {
  switch (kind) {
    case "command":
      return {
        team: body.team_id,
        org: String(body.is_enterprise_install) === "true" ? (body.enterprise_id ?? null) : null,
        request: body.trigger_id,
        user: body.user_id,
        channel: body.channel_id,
        thread: null,
        message: null,
        hidden: false,
        responseUrl: body.response_url,
        trigger: body.trigger_id,
        arrived,
      };
    case "interaction": {
      const { container, message, view } = body;
      const org = body.enterprise?.id ?? body.team?.enterprise_id ?? null;
      const ts = message?.ts ?? container?.message_ts;
      return {
        team: body.team?.id ?? body.user.team_id ?? "",
        org: body.is_enterprise_install ? org : null,
        // A form that is sent twice is one request; a press has no id but its trigger.
        request: body.type === "view_submission" && view ? view.id : body.trigger_id,
        user: body.user.id,
        channel: body.channel?.id ?? null,
        thread: message?.thread_ts ?? container?.thread_ts ?? null,
        message: ts === undefined ? null : { ...message, ts },
        hidden: Boolean(container?.is_ephemeral),
        responseUrl: body.response_url ?? null,
        trigger: body.trigger_id,
        arrived,
      };
    }
    case "event": {
      const { event, authorizations } = body;
      const org = authorizations?.[0]?.enterprise_id ?? body.enterprise_id ?? null;
      return {
        team: body.team_id,
        org: authorizations?.[0]?.is_enterprise_install ? org : null,
        request: body.event_id,
        user: event.user ?? "",
        channel: event.channel ?? null,
        thread: event.thread_ts ?? event.ts ?? null,
        message: null,
        hidden: false,
        responseUrl: null,
        trigger: null,
        arrived,
      };
    }
  }
}

/** The end user as the API knows them. */
export const apiUser = ({ team, user }: Pick<Ask, "team" | "user">): string => `slack:${team}:${user}`;
/** The other way round. */
export const personOf = (user: string | null): string | null => user?.split(":")[2] ?? null;

const ENTITIES: Record<string, string> = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

/** What a person typed, without Slack's escapes: people and channels by their names, links by their labels. */
export function plain(text: string): string {
  return text
    .replace(/<([@#!][^>|]*|[^>|\s]*)(?:\|([^>]*))?>/g, (_, target: string, label?: string) =>
      label !== undefined ? label : /^[@#!]/.test(target) ? "" : target,
    )
    .replace(/&(?:lt|gt|amp);/g, (entity) => ENTITIES[entity] ?? entity)
    .trim();
}
