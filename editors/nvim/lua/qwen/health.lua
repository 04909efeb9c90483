--- `:checkhealth qwen`.
local M = {}

local health = vim.health

local function check_server()
  health.start('qwen: the server')
  local qwen = require('qwen')
  local problem = qwen.problem()
  if problem then
    health.error(problem)
    return
  end
  local command = vim.lsp.config.qwen.cmd
  if type(command) == 'table' then
    local out = vim.system({ command[1], '--version' }, { text = true }):wait(10000)
    if out.code == 0 then
      health.ok(('%s (%s)'):format(vim.trim(out.stdout), vim.fn.exepath(command[1])))
    else
      health.error(('`%s --version` fails: %s'):format(command[1], vim.trim(out.stderr or '')))
    end
  end
  if not vim.lsp.is_enabled('qwen') then
    health.warn("not enabled; `vim.lsp.enable('qwen')` does it")
  end
  local clients = vim.lsp.get_clients({ name = 'qwen' })
  if #clients == 0 then
    health.info('not running: it starts with the first file that has a filetype')
  end
  for _, client in ipairs(clients) do
    local answer = client:request_sync('workspace/executeCommand', { command = 'qwen.status' }, 2000)
    local status = answer and answer.result
    if not status then
      health.error('it runs and does not answer; `:Qwen log` shows what it said')
    elseif status.state == 'ready' or status.state == 'busy' then
      health.ok(status.text)
    else
      health.warn(status.text)
    end
  end
end

local function check_ghost_text()
  health.start('qwen: ghost text')
  local shows = require('qwen').config.ghost_text
  if shows == 'off' then
    health.info("off: setup({ ghost_text = 'off' })")
    return
  end
  local own = shows == 'own' or not vim.lsp.inline_completion
  health.ok(own and 'shown by this plugin' or "shown by Neovim's inline completion")
  local keys = require('qwen.keys')
  for action, lhs in vim.spairs(keys.mapped) do
    health.ok(('%s: %s'):format(lhs, action))
  end
  for action, lhs in vim.spairs(keys.taken) do
    health.warn(
      ('%s has a mapping of yours, and does not %s'):format(lhs, action),
      ("choose another by setup({ keys = { %s = '<C-l>' } }), or see |qwen-own-mappings|"):format(action)
    )
  end
end

function M.check()
  check_server()
  check_ghost_text()
end

return M
