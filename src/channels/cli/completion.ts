import { Command } from 'commander';

const shells = ['bash', 'zsh', 'fish', 'powershell'];

/**
 * leveredge completion SHELL — prints what makes this shell complete commands and options at TAB. The hidden `complete`
 * is what that script calls at each TAB. Both come from a library that is loaded for them alone and prints by itself, so
 * that no other command pays for it: `completion` below is what help shows, `addCompletions` what runs.
 */
export function completion(): Command {
  const command = new Command('completion').description('Print the script that completes commands at TAB');
  return command.addArgument(command.createArgument('<shell>', 'which shell').choices(shells));
}

/** Whether this command line asks for the script, or comes from it. */
export function isAboutCompletion(argv: readonly string[]): boolean {
  return shellAskedFor(argv) !== undefined || (argv[0] === 'complete' && argv[1] === '--');
}

/**
 * Gives the program both commands. Call it when all others are there.
 * @returns what must stand below the script that the library prints.
 */
export async function addCompletions(program: Command, argv: readonly string[]): Promise<string> {
  const { default: tab } = await import('@bomb.sh/tab/commander');
  tab(program, { completionCommandName: 'completion' });
  return shellAskedFor(argv) === 'bash' ? withoutBashCompletion : '';
}

const optionsWithValue = ['--url', '--home'];

/** The shell of `completion SHELL`, wherever the options that every command has stand. */
function shellAskedFor(argv: readonly string[]): string | undefined {
  const words = argv.filter((word, at) => !word.startsWith('-') && !optionsWithValue.includes(argv[at - 1] ?? ''));
  return words[0] === 'completion' && words.length === 2 ? shells.find((shell) => shell === words[1]) : undefined;
}

/** The library's script for bash leans on a function of the package bash-completion, which a server often lacks. */
const withoutBashCompletion = `
declare -F _get_comp_words_by_ref >/dev/null || _get_comp_words_by_ref() {
    cword=$COMP_CWORD
    words=("\${COMP_WORDS[@]}")
    cur=\${COMP_WORDS[COMP_CWORD]}
    prev=\${COMP_WORDS[COMP_CWORD-1]}
}
`;
