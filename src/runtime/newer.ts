// Persisted shapes of a newer release: how a reader recognizes one.

/** Whether a parsed value has a version (`v`) above `known`, the last one of this release. */
export function isNewerThan(known: number, value: unknown): boolean {
  const v = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
  return Number.isSafeInteger(v) && (v as number) > known;
}
