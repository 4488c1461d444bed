// Documents of tests: one as a caller sends it, and the names of stored objects.
import type { Store } from '../../src/store/store.ts';

export const documentOf = (id: string, text: string): unknown => ({
  type: 'structured',
  id,
  title: `Title of ${id}`,
  sections: [{ title: 'Section', text }],
});

/** Names of all objects under a prefix. */
export async function keysUnder(store: Store, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list(prefix, after === undefined ? {} : { after });
    keys.push(...page.objects.map(({ key }) => key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}
