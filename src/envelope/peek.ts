// Which KMS key a message says it is under, from its first bytes. Nobody vouches for it, nor that it is an ARN at all: who
// tells it on has to check that, and nobody may use it.
const PROVIDER = 'aws-kms';
/** Version, suite and message id. */
const BEFORE_CONTEXT = 1 + 2 + 32;
const LENGTH = 2;

/** So many first bytes hold it: a context of ours is short. */
export const PEEK_BYTES = 2048;

/** Undefined when the bytes are no such message, or not enough of one. */
export function peekKeyArn(start: Buffer): string | undefined {
  let at = BEFORE_CONTEXT;
  const field = (): Buffer | undefined => {
    if (at + LENGTH > start.length) return undefined;
    const end = at + LENGTH + start.readUInt16BE(at);
    const bytes = end > start.length ? undefined : start.subarray(at + LENGTH, end);
    at = end;
    return bytes;
  };
  if (start[0] !== 2 || !field()) return undefined;
  at += LENGTH;
  if (field()?.toString() !== PROVIDER) return undefined;
  return field()?.toString('utf8');
}
