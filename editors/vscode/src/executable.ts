/** The server's program: where it is, whether it runs, and what it can do. Knows nothing of VS Code. */

import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const WINDOWS = process.platform === 'win32'
const PROGRAM = WINDOWS ? 'qwen-lsp.exe' : 'qwen-lsp'
const PATIENCE_MS = 20_000

export interface Executable {
  path: string
  /** It has `qwen-lsp doctor`. */
  doctor: boolean
}

/** There is no server to start; the message is one line that names the fix. */
export class NoServer extends Error {
  constructor(
    message: string,
    /** There is none, rather than one that does not run. */
    readonly missing = false,
  ) {
    super(message)
  }
}

export interface Places {
  /** The setting `qwen.path`: wins, and must run. */
  chosen: string
  /** The folders whose virtual environments may be used. */
  folders: string[]
  /** The environment that "Install the Server" makes. */
  own: string
}

/** The first server that runs, in the order: chosen, virtual environment of the workspace, PATH, our own environment. */
export async function find({ chosen, folders, own }: Places): Promise<Executable> {
  if (chosen) return probe(chosen.replace(/^~(?=[/\\])/, homedir()), 'correct the setting qwen.path')
  const candidates = [
    ...folders.flatMap((folder) => [inside(join(folder, '.venv')), inside(join(folder, 'venv'))]),
    ...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean).map((folder) => join(folder, PROGRAM)),
    inside(own),
  ]
  let failure: unknown
  for (const path of candidates) {
    if (!(await executable(path))) continue
    try {
      return await probe(path, 'install it again, or set qwen.path to another')
    } catch (error) {
      failure ??= error
    }
  }
  throw failure ?? new NoServer('qwen-lsp is not installed.', true)
}

/** A program in a virtual environment. */
export function inside(environment: string, program = PROGRAM): string {
  return join(environment, WINDOWS ? 'Scripts' : 'bin', program)
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

async function probe(path: string, fix: string): Promise<Executable> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--help'], { timeout: PATIENCE_MS, windowsHide: true })
    if (/^ +serve\b/m.test(stdout)) return { path, doctor: /^ +doctor\b/m.test(stdout) }
  } catch (error) {
    throw new NoServer(`${path} does not run (${reason(error)}): ${fix}.`)
  }
  throw new NoServer(`${path} is not qwen-lsp: ${fix}.`)
}

function reason(error: unknown): string {
  const { code, killed, stderr } = error as { code?: string | number; killed?: boolean; stderr?: string }
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EACCES') return 'not executable'
  if (killed) return `no answer in ${PATIENCE_MS / 1000} s`
  return stderr?.trim().split('\n').at(-1) || `exit status ${code}`
}
