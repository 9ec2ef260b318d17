#!/usr/bin/env node
// Makes dist/client, the package that `npm publish dist/client` would publish.
import { buildClient } from "./lib/client.mjs";

await buildClient();
