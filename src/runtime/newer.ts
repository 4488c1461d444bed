// Persisted shapes of a newer release: how a reader recognizes one, and the error message.

/** Whether a parsed value has a version (`v`) above `known`, the last one of this release. */
export function isNewerThan(known: number, value: unknown): boolean {
  const v = typeof value === 'object' && value !== null && 'v' in value ? value.v : undefined;
  return Number.isSafeInteger(v) && (v as number) > known;
}

/** Reason of the errors about them. */
export const NEWER = 'Newer';

/** `subject` names the stored thing, and begins the sentence. */
export const newerMessage = (subject: string): string =>
  `${subject} was written by a newer release of sealdex. Upgrade this process.`;
