// PowerPoint 97-2003 (PPT): every slide is a section, with its notes inside. Text of masters and of earlier saves is dropped.
import type { Extracted, FileInput, Section } from '../extracted.ts';
import { openCompound } from '../compound.ts';
import { MAX_SECTIONS } from '../bounds.ts';
import { MIME } from '../mime.ts';
import { summaryOf } from '../property-set.ts';
import { FileError } from '../file-error.ts';
import { persistedOf, type Persisted, type PptRecord, recordsBelow, recordsIn } from './ppt-records.ts';

const DOCUMENT = 0x03e8;
const SLIDE_LIST = 0x0ff0;
const SLIDE_PERSIST = 0x03f3;
const NOTES_ATOM = 0x03f1;
const TEXT_BOX = 0xf00d;
const TEXT_HEADER = 0x0f9f;
const TEXT_CHARS = 0x0fa0;
const TEXT_BYTES = 0x0fa8;
const TEXT_REFERENCE = 0x0f9e;

const SLIDES = 0;
const NOTES = 2;
const TITLE_KINDS = new Set([0, 6]);
const NOTES_KIND = 2;
const ENCRYPTED = 0xf3d1c4df;

interface Text {
  readonly kind: number;
  readonly text: string;
}

interface Listed {
  readonly persistId: number;
  readonly slideId: number;
  readonly texts: Text[];
}

/** @throws FileError `office-encrypted`, `damaged`, `too-many-parts` */
export async function readPpt({ bytes }: FileInput): Promise<Extracted> {
  const compound = openCompound(bytes);
  const user = compound.stream('Current User');
  const isEncrypted = user !== undefined && user.length >= 16 && user.readUInt32LE(12) === ENCRYPTED;
  if (isEncrypted || compound.names.has('EncryptedSummary')) throw new FileError('office-encrypted');
  const stream = compound.stream('PowerPoint Document');
  if (!stream) throw new FileError('damaged');
  const persisted = user !== undefined && user.length >= 20 ? persistedOf(stream, user.readUInt32LE(16)) : undefined;
  const document = persisted?.record(persisted.documentId) ?? lastDocument(stream);
  if (document?.type !== DOCUMENT) throw new FileError('damaged');
  const slides = listed(document, SLIDES);
  const notes = notesBySlide(listed(document, NOTES), persisted);
  const { title, metadata } = summaryOf(compound);
  return {
    contentType: MIME.ppt,
    ...(title !== undefined && { title }),
    metadata: { ...metadata, slides: slides.length },
    sections: slides.flatMap((slide, at) => slideSection(slide, at + 1, persisted, notes.get(slide.slideId))),
  };
}

/** Fallback for a broken table of parts: the document that was written last. */
function lastDocument(stream: Buffer): PptRecord | undefined {
  let last: PptRecord | undefined;
  for (const record of recordsIn(stream)) if (record.type === DOCUMENT) last = record;
  return last;
}

function listed(document: PptRecord, instance: number): Listed[] {
  const slides: Listed[] = [];
  const seen = new Set<number>();
  for (const list of recordsIn(document.body)) {
    if (list.type !== SLIDE_LIST || list.instance !== instance) continue;
    const texts = new Texts();
    for (const record of recordsIn(list.body)) {
      if (record.type === SLIDE_PERSIST && record.body.length >= 16) {
        texts.found = [];
        const persistId = record.body.readUInt32LE(0);
        // Each slide once: a hostile list could name one slide a million times.
        if (seen.has(persistId)) continue;
        seen.add(persistId);
        slides.push({
          persistId,
          slideId: record.body.readUInt32LE(12),
          texts: texts.found,
        });
        if (slides.length > MAX_SECTIONS) throw new FileError('too-many-parts');
      } else texts.take(record);
    }
  }
  return slides;
}

/** Collects text atoms, each with the kind from the preceding header. */
class Texts {
  found: Text[] = [];
  #kind = -1;

  take({ type, body }: PptRecord): void {
    if (type === TEXT_HEADER && body.length >= 4) this.#kind = body.readUInt32LE(0);
    else if (type === TEXT_CHARS) this.#add(body.toString('utf16le'));
    else if (type === TEXT_BYTES) this.#add(body.toString('latin1'));
  }

  #add(text: string): void {
    this.found.push({ kind: this.#kind, text: text.replace(/[\r\v]/g, '\n').trim() });
  }
}

/** Texts of the boxes on a slide, in order; some are references into the list. */
function textsOn(slide: PptRecord | undefined, { texts: inList }: Listed): Text[] {
  const texts = new Texts();
  const referred = new Set<number>();
  for (const box of recordsBelow(slide?.body ?? Buffer.alloc(0), ({ type }) => type === TEXT_BOX)) {
    for (const record of recordsIn(box.body)) {
      if (record.type !== TEXT_REFERENCE) texts.take(record);
      else if (record.body.length >= 4) {
        const at = record.body.readUInt32LE(0);
        const text = inList[at];
        // Each text once: a hostile slide could refer to one text a million times.
        if (text && !referred.has(at)) texts.found.push(text);
        referred.add(at);
      }
    }
  }
  return [...inList.filter((_, at) => !referred.has(at)), ...texts.found];
}

function notesBySlide(notes: readonly Listed[], persisted: Persisted | undefined): Map<number, string> {
  const found = new Map<number, string>();
  for (const page of notes) {
    const record = persisted?.record(page.persistId);
    const [atom] = recordsBelow(record?.body ?? Buffer.alloc(0), ({ type }) => type === NOTES_ATOM);
    if (!record || !atom || atom.body.length < 4) continue;
    const texts = textsOn(record, page).filter(({ kind }) => kind === NOTES_KIND);
    found.set(atom.body.readUInt32LE(0), texts.map(({ text }) => text).join('\n'));
  }
  return found;
}

function slideSection(slide: Listed, number: number, persisted: Persisted | undefined, notes = ''): Section[] {
  const texts = textsOn(persisted?.record(slide.persistId), slide);
  const title = texts.find(({ kind, text }) => TITLE_KINDS.has(kind) && text !== '');
  const rest = texts.filter((text) => text !== title && text.text !== '');
  if (!title && rest.length === 0 && notes === '') return [];
  return [
    {
      title: title?.text ?? `Slide ${number}`,
      text: rest.map(({ text }) => text).join('\n'),
      metadata: { slide: number },
      ...(notes !== '' && { sections: [{ title: 'Notes', text: notes }] }),
    },
  ];
}
