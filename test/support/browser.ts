/** Debian's chromium, looking at a coordinator's dashboard, and minding what a page must never do. */
import axe, { type AxeResults } from 'axe-core';
import { chromium, type Browser, type Page } from 'playwright-core';
import * as assert from 'uvu/assert';
import { scratchDirectory } from '../../scripts/rig/scratch.ts';

export interface WatchedPage extends AsyncDisposable {
  readonly page: Page;
  /** Fails for what was said on the console, and for requests to anybody but the coordinator. */
  assertClean(): void;
  /** Forgets what was said so far: where the coordinator was away, browsers complain. */
  forgive(pattern: RegExp): void;
  /** Fails for whatever axe finds wrong with the page as it is, in light and in dark. */
  assertAccessible(): Promise<void>;
  /** Fails where one would have to scroll sideways. */
  assertFits(): Promise<void>;
}

export interface RunningBrowser extends AsyncDisposable {
  open(url: string, options?: OpenOptions): Promise<WatchedPage>;
}

export interface OpenOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** Files of PEM: what the browser shows of whoever sits there, to a coordinator whose own certificate it takes as it is. */
  readonly certificate?: { readonly certificate: string; readonly key: string };
}

/** Enough for a browser on a busy machine. */
const patience = 60_000;

export async function startBrowser(): Promise<RunningBrowser> {
  // It writes there, whatever the profile.
  const home = await scratchDirectory('browser');
  const browser = await chromium.launch({
    env: { ...process.env, HOME: home.path, XDG_CONFIG_HOME: home.path, XDG_CACHE_HOME: home.path },
    executablePath: '/usr/bin/chromium',
    // Tests run as root, and /dev/shm is small in containers.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    timeout: patience,
  });
  return {
    open: (url, options) => openPage(browser, url, options),
    async [Symbol.asyncDispose]() {
      await browser.close();
      await home[Symbol.asyncDispose]();
    },
  };
}

async function openPage(
  browser: Browser,
  url: string,
  { width = 1280, height = 900, dark = false, certificate: shown }: OpenOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    ...(shown === undefined
      ? {}
      : {
          ignoreHTTPSErrors: true,
          clientCertificates: [
            { origin: new URL(url).origin, certPath: shown.certificate, keyPath: shown.key },
          ],
        }),
  });
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  const { host } = new URL(url);
  let said: string[] = [];
  const foreign: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) said.push(message.text());
  });
  page.on('pageerror', (error) => said.push(String(error.stack)));
  page.on('request', (request) => {
    if (new URL(request.url()).host !== host) foreign.push(request.url());
  });
  await page.goto(url);
  return {
    page,
    assertClean() {
      assert.equal(said, []);
      assert.equal(foreign, []);
    },
    forgive(pattern) {
      said = said.filter((text) => !pattern.test(text));
    },
    async assertAccessible() {
      // Not as an element: the page's policy lets none in.
      await page.evaluate(axe.source);
      for (const colorScheme of dark ? (['light', 'dark'] as const) : (['dark', 'light'] as const)) {
        await page.emulateMedia({ colorScheme });
        const { violations } = await page.evaluate<AxeResults>('axe.run()');
        const said = violations.flatMap(({ id, nodes }) =>
          nodes.map(({ html, failureSummary = '' }) => `${id} in ${colorScheme}: ${html}: ${failureSummary}`),
        );
        assert.equal(said, []);
      }
    },
    async assertFits() {
      const [wide, wider] = await page.evaluate<readonly [number, number]>(
        '[document.documentElement.clientWidth, document.documentElement.scrollWidth]',
      );
      assert.is(wider, wide);
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}
