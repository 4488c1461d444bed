// The tables of errors as docs/errors.md must show them: one line of Markdown for each row of the data.
import { dispositionOf, type Code } from '../../src/runtime/errors.ts';
import { KEY_STATE_TABLE, KMS_ERROR_TABLE, type KeyStateRow, type KmsErrorRow } from '../../src/keys/aws/kms-errors.ts';
import { REDIS_REPLIES } from '../../src/runtime/redis-errors.ts';
import { S3_ERROR_TABLE, type S3ErrorRow } from '../../src/store/s3/s3-errors.ts';

const lineOf = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
const marked = (text: string): string => `\`${text}\``;

/** A code with what becomes of a job: `KEY_DENIED`: park. */
function fateOf(code: Code, attempts = dispositionOf(code).attempts): string {
  const { disposition } = dispositionOf(code);
  if (disposition === 'none') return marked(code);
  const spent =
    attempts === undefined ? '' : attempts === 0 ? ', spends no attempt' : `, spends one of ${attempts} attempts`;
  return `${marked(code)}: ${disposition}${spent}`;
}

const errorOf = (names: readonly string[], also?: string): string =>
  [names.map(marked).join(', '), ...(also === undefined ? [] : [also])].filter((text) => text !== '').join('; ');

function kmsFateOf({ state, content }: KmsErrorRow, code: Code): string {
  if (state !== undefined) return `by the state of the key; untold, ${fateOf(code)}`;
  return content === undefined ? fateOf(code) : `${fateOf(content)}; for a reader ${marked(code)}`;
}

export const kmsErrorLines = (): string[] =>
  Object.values<KmsErrorRow>(KMS_ERROR_TABLE).map((row) =>
    lineOf(
      errorOf(row.names, row.also),
      kmsFateOf(row, row.tenant),
      kmsFateOf(row, row.platform),
      row.operatorDoes,
      row.tenantDoes,
    ),
  );

export const keyStateLines = (): string[] =>
  Object.entries<KeyStateRow>(KEY_STATE_TABLE).map(([state, row]) =>
    lineOf(
      /^[A-Z]/.test(state) ? marked(state) : state,
      fateOf(row.tenant),
      fateOf(row.platform),
      row.operatorDoes,
      row.tenantDoes,
    ),
  );

const s3FateOf = ({ code, attempts, when }: S3ErrorRow['becomes'][number]): string =>
  [...(code === undefined ? [] : [fateOf(code, attempts)]), ...(when === undefined ? [] : [when])].join(' ');

export const s3ErrorLines = (): string[] =>
  Object.values<S3ErrorRow>(S3_ERROR_TABLE).map(({ names, also, statuses, becomes, operatorDoes, tenantDoes }) => {
    const byStatus = statuses.length === 0 ? [] : [`status ${statuses.join(', ')}`];
    const others = [...byStatus, ...(also === undefined ? [] : [also])];
    const error = errorOf(names, others.length === 0 ? undefined : others.join(', '));
    return lineOf(error, becomes.map(s3FateOf).join('; '), operatorDoes, tenantDoes);
  });

export const redisErrorLines = (): string[] =>
  Object.entries(REDIS_REPLIES).map(([word, { description, remedy }]) => lineOf(marked(word), description, remedy));
