/** What a person has set in VS Code. Defaults are left out: they would win over `config.toml` and the environment. */

import { workspace } from 'vscode'

export const SECTION = 'qwen'
/** Settings of this extension, which the server does not know. */
const OURS = new Set(['qwen.path'])

/** The section `qwen` with only those of these settings ("qwen.local.threads") that were set somewhere. */
export function chosen(names: Iterable<string>): object {
  const tree: Record<string, unknown> = {}
  for (const name of names) {
    const found = workspace.getConfiguration().inspect(name)
    const value = found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue
    if (value === undefined || OURS.has(name)) continue
    const [, ...path] = name.split('.')
    const last = path.pop() as string
    const parent = path.reduce((node, key) => (node[key] ??= {}) as Record<string, unknown>, tree)
    parent[last] = value
  }
  return tree
}

/** One setting's value, with its default. */
export function setting(name: string): string {
  return workspace.getConfiguration(SECTION).get<string>(name, '')
}
