/** Which CI system this runs in. */
import { ArchfarmError } from '../../../../shared/errors.ts';
import type { Variables } from '../renderer.ts';
import type { CiSystem } from './ci-system.ts';

/**
 * By `ARCHFARM_CI` (`github`, `gitlab`, or `none` for plain lines), else by the variables that the systems set; undefined for those whose
 * logs hold nothing but text, as Jenkins' do. Throws `config` for another value.
 */
export async function findCiSystem(environment: Variables): Promise<CiSystem | undefined> {
  const given = environment['ARCHFARM_CI'];
  switch (given || detected(environment)) {
    case 'github': {
      const { GitHub } = await import('./github.ts');
      return new GitHub(environment);
    }
    case 'gitlab': {
      const { GitLab } = await import('./gitlab.ts');
      return new GitLab();
    }
    case 'none':
      return undefined;
    default:
      throw new ArchfarmError(
        'config',
        `ARCHFARM_CI is ${JSON.stringify(given)}, which is no CI system known here`,
        {
          hint: 'it may be github, gitlab or none; without it the system is found by its own variables',
        },
      );
  }
}

function detected(environment: Variables): 'github' | 'gitlab' | 'none' {
  if (environment['GITHUB_ACTIONS'] === 'true') return 'github';
  return environment['GITLAB_CI'] === 'true' ? 'gitlab' : 'none';
}
