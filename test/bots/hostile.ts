const PIECES = [
  "@everyone",
  "@here",
  "<@42>",
  "<@!42>",
  "<@&200000000000000001>",
  "<#300000000000000001>",
  "<!channel>",
  "<!here|here>",
  "<!subteam^S1>",
  "<t:0:R>",
  "</imagine:1>",
  "<:cat:1>",
  "`",
  "``` \n```js",
  "**bold** __line__ ~~gone~~ ||hidden||",
  "> quote\n>>> quotes",
  "# head\n-# small",
  "[a link](https://evil.test)",
  "<https://evil.test|safe>",
  "https://evil.test/?q=`x`",
  "discord.gg/abc",
  "mailto:a@b.test",
  "\u202eesrever\u202c",
  "\u2066isolate\u2069",
  "zero\u200bwidth\u2060joined\ufeff",
  "\u{e0041}\u{e0042} tags",
  "a\u0000b\u0007c\u001b[31m",
  `Z${"\u0351".repeat(80)}`,
  "\ud83d lone",
  "👩‍👩‍👧‍👦 🏳️‍🌈 ❤️",
  "猫が三匹、浜辺で眠っている",
  "ثلاث قطط نائمة",
  "{prompt} {seconds} %s",
  "<script>alert(1)</script>",
  "';DROP TABLE generations;--",
  "\\",
  "—seed 5",
  "\r\n\u2028\u2029\t",
  "x".repeat(700),
  "cats ".repeat(1200),
];

/** `count` prompts that try to ping, to break out of their place, to hide, or to be too long; the same in every run. */
export function hostilePrompts(count: number): string[] {
  let state = 12345;
  // A linear congruential generator (Numerical Recipes' constants).
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return Array.from({ length: count }, () => {
    const pieces = Array.from({ length: 1 + next(6) }, () => PIECES[next(PIECES.length)] ?? "");
    return ["two cats", ...pieces].join(next(2) === 0 ? " " : "").slice(0, 6000);
  });
}

/** What could reorder, hide or break the text around it. */
export const UNQUIET =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]|\p{M}{5}/u;
