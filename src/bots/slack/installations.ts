import type { Workspace } from "./payload.ts";

/** What the app was given by a workspace. */
export interface Installation extends Workspace {
  /** The bot token. */
  token: string;
  botUser: string;
  bot: string;
}

/** Where installations lie, sealed. */
export interface Installations {
  /** @returns the workspace's, or its organisation's; null when there is none */
  find(workspace: Workspace): Promise<Installation | null>;
  save(installation: Installation): Promise<void>;
  /** Forgets one, if it is there. */
  remove(workspace: Workspace): Promise<void>;
}

/** An organisation's installation holds for each of its workspaces. */
export const nameOfInstallation = ({ team, org }: Workspace): string => org ?? team;
