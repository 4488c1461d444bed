// The policies in docs/tenant-keys.md, for tests that apply them to KMS.
import { fileOf } from './pages.ts';

export const KEY_PAGE = 'docs/tenant-keys.md';
export const PAGE_ROLE = 'arn:aws:iam::111122223333:role/sealdex';
const PAGE_ACCOUNT = '111122223333';
const PAGE_DAY = '2026-11-23';

/** The JSON of the page in its order: the grant, then the denial of a day for a role as principal and for one by condition. */
const texts = (): string[] =>
  [...fileOf(KEY_PAGE).matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);

export const grantOnPage = (): unknown => JSON.parse(texts()[0] ?? '');

/** The denials on the page, with the account and the day filled in. */
export const denialsOnPage = (account = PAGE_ACCOUNT, day = PAGE_DAY): readonly [object, object] => {
  const [, byRole = '', byCondition = ''] = texts().map((text) =>
    text.replaceAll(PAGE_ACCOUNT, account).replaceAll(PAGE_DAY, day),
  );
  return [JSON.parse(byRole) as object, JSON.parse(byCondition) as object];
};
