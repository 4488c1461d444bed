// The known name that is closest to a misspelled one.

const MAX_TYPOS = 3;
/** Of two short names without a common letter, one is not a misspelling of the other. */
const CHARACTERS_PER_TYPO = 3;

export function closestName(name: string, known: readonly string[]): string | undefined {
  const limit = Math.min(MAX_TYPOS, Math.floor(name.length / CHARACTERS_PER_TYPO));
  const [closest] = known
    .map((each) => ({ each, typos: editDistance(name, each) }))
    .filter(({ typos }) => typos <= limit)
    .toSorted((a, b) => a.typos - b.typos);
  return closest?.each;
}

/** Number of inserted, deleted and replaced characters between two texts. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (const [i, char] of Array.from(from).entries()) {
    const next = [i + 1];
    for (const [j, other] of Array.from(to).entries()) {
      const replaced = (row[j] ?? 0) + (char === other ? 0 : 1);
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
