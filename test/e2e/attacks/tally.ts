/** What became of the requests of one class at one proxy. */
interface Counts {
  sent: number;
  refused: number;
  passed: number;
  agreed: number;
}

/** Proxy × class, as the suite prints it at its end. */
export class Tally {
  readonly #rows = new Map<string, Counts & { readonly what: string; readonly proxy: string }>();

  /**
   * @param passed requests that reached the upstream, of which one sent can become several
   * @param agreed of them, those that forward-auth had allowed as they arrived
   */
  add(what: string, proxy: string, { sent, passed, agreed }: Omit<Counts, 'refused'>): void {
    const key = `${what} × ${proxy}`;
    const row = this.#rows.get(key) ?? { what, proxy, sent: 0, refused: 0, passed: 0, agreed: 0 };
    row.sent += sent;
    row.refused += Math.max(0, sent - passed);
    row.passed += passed;
    row.agreed += agreed;
    this.#rows.set(key, row);
  }

  /** Proxies and classes of which some requests passed otherwise than they were judged. */
  get disagreeing(): string[] {
    return [...this.#rows].filter(([, { passed, agreed }]) => passed !== agreed).map(([key]) => key);
  }

  toString(): string {
    const rows = [...this.#rows.values()].map(({ what, proxy, ...counts }) => [proxy, what, ...Object.values(counts)]);
    const table = [['proxy', 'class', 'sent', 'refused', 'passed', 'agreed'], ...rows].map((row) => row.map(String));
    const widths = table[0]?.map((_none, at) => Math.max(...table.map((row) => row[at]?.length ?? 0))) ?? [];
    return table
      .map((row) => row.map((text, at) => (at < 2 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0))))
      .map((row) => row.join('  '))
      .join('\n');
  }
}
