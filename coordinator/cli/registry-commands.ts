/** The commands that speak to registries and to nobody else. */
import { Option, type Command } from 'commander';
import { attestationModes, listTypes } from '../project/annotations.ts';
import { collect } from './collect.ts';
import { example, globalOptions, oneOf, type ProgramContext } from './command-parts.ts';
import { addManifestToolFlags, translated } from './manifest-tool-flags.ts';
import type { AnnotateFlags, CreateFlags, DraftFlags, ManifestFlags } from './manifest.ts';
import type { PushFlags, TemplateFlags } from './push.ts';
import { addRegistryFlags, type RegistryFlags } from './registry-options.ts';

export function addRegistryCommands(program: Command, context: ProgramContext): void {
  addReading(program, context);
  addManifest(program, context);
  addPush(program, context);
}

function addReading(program: Command, { signal }: ProgramContext): void {
  const inspect = program
    .command('inspect')
    .description('show what a reference holds: images, platforms, layers')
    .argument('<ref>', 'image reference')
    .option('--verbose', 'as docker manifest inspect --verbose')
    .addOption(new Option('--raw', 'the very bytes that the registry has').conflicts('verbose'))
    .option('--json', 'as docker manifest inspect')
    .addHelpText('after', example('archfarm inspect registry.example/onap/py-app'))
    .action(
      async (
        reference: string,
        flags: RegistryFlags & { verbose?: boolean; raw?: boolean },
        command: Command,
      ) => {
        const { runInspect } = await import('./inspect.ts');
        const { verbose = false, raw = false } = flags;
        await runInspect(reference, {
          verbose,
          raw,
          registry: flags,
          global: globalOptions(command, signal),
        });
      },
    );
  addRegistryFlags(inspect);
  const platforms = program
    .command('platforms')
    .description('list the platforms that an image offers')
    .argument('<ref>', 'image reference')
    .option('--for <platform>', 'only the image that a client on this platform gets')
    .option('--json', 'as JSON')
    .addHelpText('after', example('archfarm platforms registry.example/onap/py-app --for linux/arm/v7'))
    .action(async (reference: string, flags: RegistryFlags & { for?: string }, command: Command) => {
      const { runPlatforms } = await import('./platforms.ts');
      await runPlatforms(reference, {
        for: flags.for,
        registry: flags,
        global: globalOptions(command, signal),
      });
    });
  addRegistryFlags(platforms);
}

function addManifest(program: Command, { signal }: ProgramContext): void {
  const manifest = program
    .command('manifest')
    .description(
      'put a manifest list together, as docker manifest; a file in this directory holds it until then',
    )
    .addHelpText(
      'after',
      example('archfarm manifest create --push onap/py-app onap/py-app-amd64 onap/py-app-arm64v8'),
    );
  const verb = (name: string, description: string, list = '<list>'): Command =>
    manifest.command(name).description(description).argument(list, 'manifest list');

  const create = verb('create', 'begin a list of images that are in registries')
    .argument('<member...>', 'image, or list whose images are meant')
    .option('-a, --amend', 'add to the list, and look again at the members named')
    .option('--push', 'publish it at once, and write no file')
    .option('--force', 'with --push, even if the tag loses a platform that it has today')
    .addHelpText(
      'after',
      example('archfarm manifest create onap/py-app onap/py-app-amd64 onap/py-app-arm64v8'),
    )
    .action(async (list: string, members: string[], flags: CreateFlags, command: Command) => {
      const { runCreate } = await import('./manifest.ts');
      await runCreate(list, members, { flags, global: globalOptions(command, signal) });
    });
  const annotate = verb('annotate', 'say for which platform a member is')
    .argument('<member>', 'image of the list')
    .option('--os <os>', 'operating system')
    .option('--arch <arch>', 'architecture')
    .option('--variant <variant>', 'variant of the architecture')
    .option('--os-version <version>', 'version of the operating system')
    .option(
      '--os-features <names>',
      'features of the operating system, separated by commas, repeatable',
      collect,
    )
    .addHelpText(
      'after',
      example('archfarm manifest annotate onap/py-app onap/py-app-arm --arch arm --variant v6'),
    )
    .action(async (list: string, member: string, flags: AnnotateFlags) => {
      const { runAnnotate } = await import('./manifest.ts');
      await runAnnotate(list, member, flags);
    });
  const inspect = verb('inspect', 'show a list that was begun, or what a registry has', '<list>')
    .argument('[member]', 'one image of the list')
    .option('-v, --verbose', 'with descriptors, platforms and the manifests of every platform')
    .addHelpText('after', example('archfarm manifest inspect --verbose onap/py-app'))
    .action(
      async (
        list: string,
        member: string | undefined,
        flags: ManifestFlags & { verbose?: boolean },
        command: Command,
      ) => {
        const { runManifestInspect } = await import('./manifest.ts');
        await runManifestInspect(list, member, { flags, global: globalOptions(command, signal) });
      },
    );
  const push = verb('push', 'publish a list that was begun')
    .option('-p, --purge', 'remove the file of the list afterwards')
    .option('--force', 'even if the tag loses a platform that it has today')
    .addHelpText('after', example('archfarm manifest push --purge onap/py-app'))
    .action(
      async (list: string, flags: ManifestFlags & { purge?: boolean; force?: boolean }, command: Command) => {
        const { runManifestPush } = await import('./manifest.ts');
        await runManifestPush(list, { flags, global: globalOptions(command, signal) });
      },
    );
  const rm = verb('rm', 'remove the files of lists that were begun', '<list...>')
    .addHelpText('after', example('archfarm manifest rm onap/py-app'))
    .action(async (lists: string[], flags: DraftFlags) => {
      const { runRemove } = await import('./manifest.ts');
      await runRemove(lists, flags);
    });
  for (const command of [create, annotate, inspect, push, rm]) addFile(command);
  for (const command of [create, inspect, push]) addRegistryFlags(insecure(command));
}

function addPush(program: Command, { signal }: ProgramContext): void {
  const push = program
    .command('push')
    .description('publish a manifest list of images that are in registries, as manifest-tool push')
    .addHelpText('after', example('archfarm push from-spec py-app.yaml'));
  // manifest-tool has these before the verb; help tells them with each verb.
  addPublishing(push);
  for (const option of push.options) option.hideHelp();
  const fromSpec = async (file: string, _flags: unknown, command: Command): Promise<void> => {
    const { runFromSpec } = await import('./push.ts');
    await runFromSpec(file, {
      flags: translated(command.optsWithGlobals<PushFlags>()),
      global: globalOptions(command, signal),
    });
  };
  addPublishing(
    push
      .command('from-spec')
      .description('of the images that a YAML file of manifest-tool names')
      .argument('<file>', 'the file')
      .addHelpText('after', example('archfarm push from-spec --ignore-missing py-app.yaml'))
      .action(fromSpec),
  );
  addPublishing(
    program
      .command('pushml')
      .description('the same as push from-spec')
      .argument('<file>', 'the file')
      .addHelpText('after', example('archfarm pushml py-app.yaml'))
      .action(fromSpec),
  );
  addPublishing(
    push
      .command('from-args')
      .description('of one image a platform, named by a template')
      .requiredOption('--platforms <list>', 'platforms, like linux/amd64,linux/arm/v7', collect)
      .requiredOption('--template <ref>', 'image, with OS, ARCH and VARIANT for the fields of its platform')
      .requiredOption('--target <ref>', 'name of the list')
      .option('--tags <list>', 'more tags in the same repository', collect)
      .option('--annotations <name=value>', 'note on an OCI list, repeatable', collect)
      .addHelpText(
        'after',
        example(
          'archfarm push from-args --platforms linux/amd64,linux/arm/v7 --template onap/py-app-ARCHVARIANT --target onap/py-app',
        ),
      )
      .action(async (_flags: unknown, command: Command) => {
        const { runFromArgs } = await import('./push.ts');
        const flags = translated(command.optsWithGlobals<TemplateFlags>());
        await runFromArgs({ flags, global: globalOptions(command, signal) });
      }),
  );
}

function insecure(command: Command): Command {
  return command.option('--insecure', 'speak plain http to the registries of the images named');
}

function addFile(command: Command): Command {
  return command.option(
    '--file <file>',
    'file that holds the list (default: named after it, in this directory)',
  );
}

function addPublishing(command: Command): Command {
  command
    .addOption(oneOf('--type <type>', 'kind of the list', listTypes).default('auto'))
    .addOption(
      oneOf(
        '--attestations <mode>',
        'what becomes of attestations in lists that are named',
        attestationModes,
      ),
    )
    .option('--ignore-missing', 'publish without the images that do not exist')
    .option('--force', 'even if the tag loses a platform that it has today');
  return addManifestToolFlags(addRegistryFlags(insecure(command)));
}
