/** What Debian wants to read in a package: a man page, the licence, what changed. */
import { readFile, stat } from 'node:fs/promises';
import * as v from 'valibot';

/** As Debian's tools take it from whoever packs. */
const { DEBFULLNAME: by = 'The archfarm developers', DEBEMAIL: mail = 'archfarm@archfarm.invalid' } =
  process.env;
export const maintainer = `${by} <${mail}>`;

export interface Manual {
  readonly command: string;
  readonly description: string;
  /** As the command prints it. */
  readonly help: string;
}

export function manPage({ command, description, help }: Manual): string {
  const safe = help
    .replaceAll('\\', '\\e')
    .replace(/^([.'])/gm, '\\&$1')
    .replaceAll('-', '\\-');
  return `.TH ${command.toUpperCase()} 1
.SH NAME
${command.replaceAll('-', '\\-')} \\- ${description}
.SH SYNOPSIS
.B ${command.replaceAll('-', '\\-')}
[\\fIcommand\\fR] [\\fIoption\\fR ...]
.SH DESCRIPTION
.nf
${safe.trimEnd()}
.fi
`;
}

const lockSchema = v.object({
  packages: v.record(
    v.string(),
    v.object({
      version: v.optional(v.string()),
      license: v.optional(v.string()),
      dev: v.optional(v.boolean()),
    }),
  ),
});

/** The licence of archfarm, and those of the packages that are bundled with it. */
export async function copyright(root: string): Promise<string> {
  const lock = v.parse(lockSchema, JSON.parse(await readFile(`${root}/package-lock.json`, 'utf8')));
  const bundled = Object.entries(lock.packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .map(
      ([path, { version, license }]) =>
        `  ${path.replace(/^.*node_modules\//, '')} ${version}: ${license ?? 'see there'}`,
    );
  return `Copyright 2026 the archfarm authors.

It is licensed under the Apache License, version 2.0; on Debian systems the
text is in /usr/share/common-licenses/Apache-2.0.

It contains code of these npm packages, under their own licences:

${[...new Set(bundled)].toSorted().join('\n')}
`;
}

/** One entry, as of the changes of this release; they are in the repository's own changelog. */
export async function debianChangelog(root: string, name: string): Promise<string> {
  const { version } = v.parse(
    v.object({ version: v.string() }),
    JSON.parse(await readFile(`${root}/package.json`, 'utf8')),
  );
  const { mtime } = await stat(`${root}/CHANGELOG.md`);
  const date = mtime.toUTCString().replace('GMT', '+0000');
  return `${name} (${version}) unstable; urgency=medium

  * Release ${version}.

 -- ${maintainer}  ${date}
`;
}
