// Who plays in the demo: three tenants, the documents that they send, and the one that is looked at closely.
// Knows nothing of queues and searches.
import type { CorpusFile } from './corpus.ts';
import { headingsIn, pageOf } from './documents.ts';
import type { Operator, Sending } from './indexing.ts';
import type { Specimen } from './judge.ts';

export interface DemoTenant {
  readonly tenant: string;
  readonly plan: 'free' | 'pro' | 'enterprise';
  /** The tenant's own KMS key, or the platform key. */
  readonly keyArn: string;
  readonly hasOwnKey: boolean;
}

const CORPUS = 'pages';
/** Every fifth document is a core document, so each of three tenants gets some. */
const CORE_EVERY = 5;

/** Two with a KMS key of their own, the last one served by the platform key. */
export const castOf = (createKey: () => string, platformKeyArn: string): readonly DemoTenant[] => [
  { tenant: 'acme', plan: 'enterprise', keyArn: createKey(), hasOwnKey: true },
  { tenant: 'globex', plan: 'pro', keyArn: createKey(), hasOwnKey: true },
  { tenant: 'hooli', plan: 'free', keyArn: platformKeyArn, hasOwnKey: false },
];

export async function putTenants(operator: Operator, tenants: readonly DemoTenant[]): Promise<void> {
  for (const { tenant, plan, keyArn, hasOwnKey } of tenants) {
    await operator.putTenant(tenant, { plan, ...(hasOwnKey ? { kmsKeyArn: keyArn } : {}) });
  }
}

/** The files turn by turn to the tenants, as documents. */
export const sendingsOf = (files: readonly CorpusFile[], tenants: readonly DemoTenant[]): Sending[] =>
  files.map((file, index) => ({
    tenant: tenants[index % tenants.length]?.tenant ?? '',
    corpus: CORPUS,
    document: pageOf(file, index % CORE_EVERY === CORE_EVERY - 1 ? 'core' : 'structured'),
  }));

/** The document with the most headings among those of the first tenant: the hardest one to give back. */
export function specimenOf(
  files: readonly CorpusFile[],
  sendings: readonly Sending[],
  [first]: readonly DemoTenant[],
): Specimen {
  const headings = ({ document }: Sending): number => ('sections' in document ? headingsIn(document.sections) : 0);
  const own = sendings.filter(({ tenant }) => tenant === first?.tenant);
  const { tenant, corpus, document } = own.reduce((best, each) => (headings(each) > headings(best) ? each : best));
  const text = files.find(({ path }) => path === document.id)?.text ?? '';
  return { tenant, corpus, id: document.id, keyArn: first?.keyArn ?? '', text };
}
