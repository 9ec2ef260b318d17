/** An expected end: shown as one sentence, without a stack trace. */
export class Stop extends Error {
  /**
   * @param {string} sentence what is wrong and what to do about it
   * @param {number} [code] exit status
   */
  constructor(sentence, code = 1) {
    super(sentence);
    this.name = "Stop";
    this.code = code;
  }
}
