import { describe, it } from "vitest";
import { understood } from "../../src/cli/commands/imagine.ts";

describe("what imagine says of a sentence", () => {
  it("is the reading, strongest first, and the notice, each on a line", ({ expect }) => {
    const reading = [
      { tag: "2cat", score: 0.98 },
      { tag: "beach background", score: 0.9 },
    ];
    expect(understood({ reading, notice: null })).toBe("understood: 2cat, beach background\n");
    expect(understood({ reading, notice: "It knows no violins." })).toBe(
      "understood: 2cat, beach background\nIt knows no violins.\n",
    );
  });

  it("is nothing where the model reads nothing", ({ expect }) => {
    expect(understood({ reading: null, notice: null })).toBe("");
    expect(understood({ reading: [], notice: null })).toBe("");
  });
});
