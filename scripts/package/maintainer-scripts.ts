/** What dpkg runs as a package comes, changes and goes. Nothing is started that was not running. */

export interface ServicePackage {
  readonly unit: string;
  /** Who the service runs as; its data is in /var/lib under the same name. */
  readonly user: string;
  readonly description: string;
  /** What to do before it can start. */
  readonly hint: string;
}

const whereSystemdRuns = 'if [ -d /run/systemd/system ]; then';

export function maintainerScripts({ unit, user, hint }: ServicePackage): Record<string, string> {
  const data = `/var/lib/${user}`;
  return {
    postinst: script(`if [ "$1" = configure ]; then
  if ! getent passwd ${user} >/dev/null; then
    adduser --system --group --quiet --home ${data} --no-create-home ${user}
  fi
  # systemd would make it, but root may join before: what is in it goes to whom it belongs to.
  [ -d ${data} ] || install -d -m 0700 -o ${user} -g ${user} ${data}
  if [ -e /etc/systemd/system/${unit} ]; then
    echo "/etc/systemd/system/${unit} takes the place of this package's unit; remove it to use this one" >&2
  fi
  ${whereSystemdRuns}
    systemctl daemon-reload
    # A running agent takes its time, for it ends what it builds first.
    [ -z "$2" ] || systemctl --no-block try-restart ${unit}
  fi
  if [ -z "$2" ]; then
    echo "${hint}"
    echo "systemctl enable --now ${unit}"
  fi
fi`),
    prerm: script(`if [ "$1" = remove ]; then
  ${whereSystemdRuns}
    systemctl stop ${unit}
  fi
fi`),
    postrm: script(`if [ "$1" = purge ]; then
  rm -rf ${data}
  rm -f /etc/systemd/system/*.wants/${unit}
  if command -v deluser >/dev/null && getent passwd ${user} >/dev/null; then
    deluser --system --quiet ${user}
  fi
  rmdir --ignore-fail-on-non-empty /etc/archfarm 2>/dev/null || true
fi
${whereSystemdRuns}
  systemctl daemon-reload
fi`),
  };
}

function script(body: string): string {
  return `#!/bin/sh\nset -e\n${body}\n`;
}
