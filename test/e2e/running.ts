import { after, before } from "node:test";
import { Client } from "../../src/client/index.ts";
import { type Instance, Place } from "./launch.ts";

export interface Running {
  instance: Instance;
  /** Speaks with the instance's own key. */
  client: Client;
}

/**
 * One Vignette for all tests of the `describe` that calls this.
 * @param ready gets hold of it before they begin
 */
export function withVignette(ready: (running: Running) => void): void {
  let place: Place | undefined;
  before(async () => {
    place = await Place.create();
    const { instance } = await place.start();
    ready({ instance, client: new Client({ url: instance.url, apiKey: instance.api_key }) });
  });
  after(() => place?.leave());
}
