/** What shells run to complete a command line: each asks the command itself. */

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** For `source <(archfarm completion SHELL)`, or as a file where that shell looks for them. */
export const completionScripts: Readonly<Record<Shell, string>> = {
  // Without a candidate bash goes on to names of files.
  bash: `# bash completion for archfarm
_archfarm() {
  mapfile -t COMPREPLY < <(archfarm __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _archfarm archfarm
`,
  zsh: `#compdef archfarm
_archfarm() {
  local -a found
  found=("\${(@f)$(archfarm __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$found" ]]; then compadd -a found; else _files; fi
}
compdef _archfarm archfarm
`,
  fish: `# fish completion for archfarm
function __archfarm_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  test -n "$current"; or set current ''
  set -l found (archfarm __complete -- $words[2..-1] $current 2>/dev/null)
  if test -n "$found[1]"
    printf '%s\\n' $found
  else
    __fish_complete_path $current
  end
end
complete -c archfarm -f -a '(__archfarm_complete)'
`,
};
