/**
 * Where a repository came from, as git has to know for the URLs of its submodules: many are relative to it. Git writes
 * down what it is told of that; what is in its environment it does not.
 */

export interface GitOrigin {
  /** Without credentials. */
  readonly url: string;
  /** Variables with which git shows the credentials to the host that they are for, and to no other. */
  readonly environment: Readonly<Record<string, string>>;
}

export function gitOrigin(url: string): GitOrigin {
  const [, scheme, credentials, host, path = ''] = /^(https?:\/\/)([^/@]*@)([^/]+)(.*)$/s.exec(url) ?? [];
  if (scheme === undefined || credentials === undefined || host === undefined)
    return { url, environment: {} };
  const plain = `${scheme}${host}`;
  return {
    url: `${plain}${path}`,
    environment: {
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: `url.${scheme}${credentials}${host}/.insteadOf`,
      GIT_CONFIG_VALUE_0: `${plain}/`,
    },
  };
}
