/** Installs the server that came with this extension into a virtual environment of its own, in sight of the person. */

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { ProcessExecution, Task, TaskScope, tasks } from 'vscode'

import { inside } from './executable.js'

const PYTHON = process.platform === 'win32' ? 'python' : 'python3'

/** Runs the commands in a terminal, one after the other; whether all went well. `source` is the server's folder. */
export async function install(source: string, environment: string): Promise<boolean> {
  const what = `${source}[local]`
  const uv = await promisify(execFile)('uv', ['--version']).then(
    () => true,
    () => false,
  )
  const commands: string[][] = uv
    ? [
        ['uv', 'venv', '--allow-existing', '--python', '>=3.11', environment],
        ['uv', 'pip', 'install', '--python', environment, what],
      ]
    : [
        [PYTHON, '-m', 'venv', environment],
        [inside(environment, 'python'), '-m', 'pip', 'install', what],
      ]
  for (const command of commands) {
    if ((await runInTerminal('install', command)) !== 0) return false
  }
  return true
}

/** Runs a program where its output is seen; its exit status. */
export async function runInTerminal(name: string, [program, ...args]: string[]): Promise<number | undefined> {
  const execution = new ProcessExecution(program as string, args)
  const task = new Task({ type: 'qwen-lsp', name }, TaskScope.Workspace, name, 'Qwen', execution)
  const running = await tasks.executeTask(task)
  return new Promise((resolve) => {
    const listening = tasks.onDidEndTaskProcess((event) => {
      if (event.execution !== running) return
      listening.dispose()
      resolve(event.exitCode)
    })
  })
}
