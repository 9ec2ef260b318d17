import { en } from "../core/locales/en.ts";
import { IMAGINE_THIS } from "./handler.ts";
import { SCOPES } from "./limits.ts";

/**
 * The app as Slack makes it (docs.slack.dev/reference/app-manifest).
 * @param url where Slack sends requests; null: Socket Mode, nothing to reach
 */
export function manifest(url: string | null) {
  const at = (path: string) =>
    url === null ? {} : { [path === "events" ? "request_url" : "url"]: `${url}/slack/${path}` };
  const command = (name: string, description: string, usage_hint: string, should_escape = false) => ({
    command: name,
    description,
    usage_hint,
    should_escape,
    ...at("commands"),
  });
  return {
    display_information: {
      name: "Vignette",
      description: "A sentence in, the picture you meant out",
      background_color: "#2c2d72",
    },
    features: {
      app_home: { home_tab_enabled: true, messages_tab_enabled: true, messages_tab_read_only_enabled: true },
      bot_user: { display_name: "Vignette", always_online: url !== null },
      slash_commands: [
        command("/imagine", en.command_imagine, "two purple cats fell asleep on the beach --ar 3:2 --private"),
        // Escaped, a person who is named comes as an id.
        command(
          "/vignette",
          en.command_vignette,
          "gallery | favorites | show ID | prefer | quota | status | privacy | settings | help",
          true,
        ),
      ],
      shortcuts: [
        {
          name: en.command_imagine_this,
          type: "message",
          callback_id: IMAGINE_THIS,
          description: en.command_imagine,
        },
      ],
    },
    oauth_config: {
      scopes: { bot: [...SCOPES] },
      ...(url === null ? {} : { redirect_urls: [`${url}/slack/oauth_redirect`] }),
    },
    settings: {
      event_subscriptions: {
        ...at("events"),
        bot_events: ["app_home_opened", "app_mention", "app_uninstalled", "tokens_revoked"],
      },
      interactivity: {
        is_enabled: true,
        ...(url === null ? {} : { request_url: `${url}/slack/interactions` }),
      },
      org_deploy_enabled: true,
      socket_mode_enabled: url === null,
      token_rotation_enabled: false,
    },
  };
}
