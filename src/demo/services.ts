// The local services of the demo, with the settings that point to them. A type only: the command line starts them.
import type { LocalAws } from '@sealdex/local-aws';
import type { Settings } from '../runtime/config.ts';

export interface Services extends LocalAws {
  readonly settings: Settings;
}
