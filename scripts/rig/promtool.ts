/** Prometheus' own tool, which reads rules, tries them and looks at what a scrape gives. */
import { debianFile } from './debian-file.ts';

/** The program's path. */
export async function promtool(): Promise<string> {
  const path = 'usr/bin/promtool';
  return debianFile({ package: 'prometheus', release: 'bookworm', path, place: 'promtool-bookworm' });
}
