// The tables of docs/errors.md, built from the code: one line of Markdown for each row.
import { dispositionOf, type Code } from '../../src/runtime/errors.ts';
import { KEY_STATE_TABLE, KMS_ERROR_TABLE, type KeyStateRow, type KmsErrorRow } from '../../src/keys/aws/kms-errors.ts';
import { REDIS_REPLIES } from '../../src/runtime/redis-errors.ts';
import { S3_ERROR_TABLE, type S3ErrorRow } from '../../src/store/s3/s3-errors.ts';

const lineOf = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
const marked = (text: string): string => `\`${text}\``;

/** A code with the outcome of a job: `KEY_DENIED`: park. */
function outcomeOf(code: Code, attempts = dispositionOf(code).attempts): string {
  const { disposition } = dispositionOf(code);
  if (disposition === 'none') return marked(code);
  const spent =
    attempts === undefined ? '' : attempts === 0 ? ', uses no attempt' : `, uses one of ${attempts} attempts`;
  return `${marked(code)}: ${disposition}${spent}`;
}

const errorOf = (names: readonly string[], also?: string): string =>
  [names.map(marked).join(', '), ...(also === undefined ? [] : [also])].filter((text) => text !== '').join('; ');

function kmsOutcomeOf({ state, content }: KmsErrorRow, code: Code): string {
  if (state !== undefined) return `depends on the key state; if unknown, ${outcomeOf(code)}`;
  return content === undefined ? outcomeOf(code) : `${outcomeOf(content)}; for a reader ${marked(code)}`;
}

export const kmsErrorLines = (): string[] =>
  Object.values<KmsErrorRow>(KMS_ERROR_TABLE).map((row) =>
    lineOf(
      errorOf(row.names, row.also),
      kmsOutcomeOf(row, row.tenant),
      kmsOutcomeOf(row, row.platform),
      row.operatorAction,
      row.tenantAction,
    ),
  );

export const keyStateLines = (): string[] =>
  Object.entries<KeyStateRow>(KEY_STATE_TABLE).map(([state, row]) =>
    lineOf(
      /^[A-Z]/.test(state) ? marked(state) : state,
      outcomeOf(row.tenant),
      outcomeOf(row.platform),
      row.operatorAction,
      row.tenantAction,
    ),
  );

const s3OutcomeOf = ({ code, attempts, when }: S3ErrorRow['outcomes'][number]): string =>
  code === undefined ? (when ?? '') : `${outcomeOf(code, attempts)}${when === undefined ? '' : ` (${when})`}`;

export const s3ErrorLines = (): string[] =>
  Object.values<S3ErrorRow>(S3_ERROR_TABLE).map(({ names, also, statuses, outcomes, operatorAction, tenantAction }) => {
    const byStatus = statuses.length === 0 ? [] : [`status ${statuses.join(', ')}`];
    const others = [...byStatus, ...(also === undefined ? [] : [also])];
    const error = errorOf(names, others.length === 0 ? undefined : others.join(', '));
    return lineOf(error, outcomes.map(s3OutcomeOf).join('; '), operatorAction, tenantAction);
  });

export const redisErrorLines = (): string[] =>
  Object.entries(REDIS_REPLIES).map(([word, { description, remedy }]) => lineOf(marked(word), description, remedy));
