;;; qwen-lsp.el --- Ghost text from Qwen-Coder  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;; Author: The qwen-lsp authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1"))
;; Keywords: convenience, languages, tools

;; This file is not part of GNU Emacs.

;;; Commentary:

;; Type, and ghost text shows what Qwen-Coder would write next.  The text
;; comes from the language server `qwen-lsp', which is installed apart.
;;
;;     (global-qwen-lsp-mode)
;;
;; Where lsp-mode (version 10 or newer) serves a buffer, the server runs in
;; it as an add-on beside the usual ones, and lsp-mode shows the text, with
;; its own keys (C-<return> takes it).  Everywhere else, beside eglot or with
;; no client at all, `qwen-lsp-mode' has a connection of its own and shows
;; the text itself, with the keys of `qwen-lsp-ghost-map'.
;;
;; Nothing is decided here about what to suggest: the server is asked after
;; each change, and what it answers is shown.

;;; Code:

(require 'cl-lib)
(require 'eieio)
(require 'jsonrpc)
(require 'project)
(require 'seq)
(require 'subr-x)
(require 'url-util)

(defvar qwen-lsp-mode)
(defvar lsp--cur-workspace)
(declare-function lsp-inline-completion-display "ext:lsp-inline-completion")
(declare-function lsp-inline-completion-mode "ext:lsp-inline-completion")
(declare-function lsp-register-client "ext:lsp-mode")
(declare-function lsp-request "ext:lsp-mode")
(declare-function lsp-stdio-connection "ext:lsp-mode")
(declare-function lsp-workspaces "ext:lsp-mode")
(declare-function lsp--buffer-uri "ext:lsp-mode")
(declare-function lsp--client-server-id "ext:lsp-mode")
(declare-function lsp--workspace-client "ext:lsp-mode")
(declare-function lsp--workspace-proc "ext:lsp-mode")
(declare-function make-lsp-client "ext:lsp-mode")

;;;; Options

(defgroup qwen-lsp nil
  "Ghost text from Qwen-Coder."
  :group 'convenience
  :prefix "qwen-lsp-")

(defcustom qwen-lsp-command '("qwen-lsp" "serve")
  "The command that starts the server, and its arguments."
  :type '(repeat string))

(defcustom qwen-lsp-settings nil
  "Settings for the server, as a property list.
The names are those of the README without \"qwen.\", for example
\(:provider \"local\" :maxTokens 64 :prefetch :json-false).  They
are read when the server starts: see `qwen-lsp-restart'."
  :type 'plist)

(defcustom qwen-lsp-idle-delay 0.05
  "Seconds without a key until the server is asked.
The server waits by itself where asking costs, so this is short."
  :type 'number)

(defface qwen-lsp-ghost
  '((t :inherit shadow))
  "Face of a suggestion that is not accepted yet.")

(defvar qwen-lsp-ghost-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "TAB") #'qwen-lsp-accept)
    (define-key map (kbd "<tab>") #'qwen-lsp-accept)
    (define-key map (kbd "C-<return>") #'qwen-lsp-accept)
    (define-key map (kbd "M-<right>") #'qwen-lsp-accept-word)
    (define-key map (kbd "C-M-<right>") #'qwen-lsp-accept-line)
    (define-key map (kbd "M-n") #'qwen-lsp-next)
    (define-key map (kbd "M-p") #'qwen-lsp-previous)
    (define-key map (kbd "C-g") #'qwen-lsp-dismiss)
    map)
  "Keys while `qwen-lsp-mode' shows a suggestion.")

;;;; State

(defvar qwen-lsp--connection nil
  "The connection of our own, which all buffers share; nil if there is none.")

(defvar qwen-lsp--greeted nil
  "Whether the server of `qwen-lsp--connection' takes documents yet.")

(defvar qwen-lsp--folders nil
  "URIs of the folders that the server of `qwen-lsp--connection' knows.")

(defvar qwen-lsp--trouble nil
  "Why there is no server and none is started, as a sentence; nil if one may be.")

(defvar qwen-lsp--statuses (make-hash-table :test #'eq :weakness 'key)
  "What each server has said of itself last, by its connection.")

(defvar qwen-lsp--timer nil
  "The timer that asks when no key has come for `qwen-lsp-idle-delay'.")

(defvar-local qwen-lsp--uri nil
  "The URI by which our own server has this buffer open; nil if it has not.")

(defvar-local qwen-lsp--version 0
  "Number of the buffer's last state that our own server was told.")

(defvar-local qwen-lsp--newlines 0
  "Number of newlines in the buffer as our own server knows it.")

(defvar-local qwen-lsp--dirty nil
  "What our own server was not told yet; nil if it knows all.
A cons of the position before which, and the number of characters
at the buffer's end in which, nothing has changed.")

(defvar-local qwen-lsp--tick nil
  "The buffer's text when a suggestion was last asked for, as its modified tick.")

(defvar-local qwen-lsp--asked nil
  "The place for which an answer is awaited, as of `qwen-lsp--place'.")

(defvar-local qwen-lsp--items nil
  "The suggestions that are shown or can be, the one that is shown first.")

(defvar-local qwen-lsp--ghost nil
  "The overlay that shows a suggestion; nil if none is shown.
It covers what the suggestion replaces from point on.")

(defvar-local qwen-lsp--start nil
  "A marker where the text begins that the suggestion replaces.")

;;;; The connection of our own

(defun qwen-lsp--connect ()
  "Start a server of our own unless there is one, or none can be had."
  (unless (or qwen-lsp--connection qwen-lsp--trouble)
    (if (executable-find (car qwen-lsp-command))
        (qwen-lsp--greet (setq qwen-lsp--greeted nil
                               qwen-lsp--folders nil
                               qwen-lsp--connection (qwen-lsp--start-server)))
      (qwen-lsp--give-up
       (format "there is no command `%s'; install it with `pip install qwen-lsp', or set `qwen-lsp-command'; then M-x qwen-lsp-restart"
               (car qwen-lsp-command))))))

(defun qwen-lsp--give-up (why)
  "Say WHY there is no server, and start none until `qwen-lsp-restart'."
  (setq qwen-lsp--trouble (concat "qwen-lsp: " why))
  (message "%s" qwen-lsp--trouble))

(defun qwen-lsp--start-server ()
  "A connection to a new server."
  (apply
   #'make-instance 'jsonrpc-process-connection
   :name "qwen-lsp"
   :process (lambda ()
              (let ((default-directory (expand-file-name "~/")))
                (make-process :name "qwen-lsp" :command qwen-lsp-command
                              :connection-type 'pipe :coding 'utf-8-emacs-unix
                              :noquery t
                              :stderr (get-buffer-create "*qwen-lsp stderr*"))))
   :notification-dispatcher #'qwen-lsp--notified
   :on-shutdown #'qwen-lsp--ended
   ;; Not to keep a log of every message, in jsonrpc before and since 1.0.24.
   (if (slot-exists-p 'jsonrpc-connection '-events-buffer-config)
       '(:events-buffer-config (:size 0 :format full))
     '(:events-buffer-scrollback-size 0))))

(defun qwen-lsp--greet (connection)
  "Initialize CONNECTION, then open the buffers that wait for it."
  (jsonrpc-async-request
   connection :initialize
   (list :processId (emacs-pid)
         :clientInfo (list :name "qwen-lsp.el" :version emacs-version)
         :rootUri nil
         :workspaceFolders []
         :initializationOptions (or qwen-lsp-settings (make-hash-table))
         ;; Characters of Emacs are code points.
         :capabilities '(:general (:positionEncodings ["utf-32"])
                         :textDocument (:inlineCompletion (:dynamicRegistration :json-false))
                         :workspace (:workspaceFolders t)
                         :experimental (:qwenStatus t)))
   :timeout 60
   :success-fn (lambda (_)
                 (jsonrpc-notify connection :initialized (make-hash-table))
                 (setq qwen-lsp--greeted t)
                 (dolist (buffer (buffer-list))
                   (qwen-lsp--begin buffer)))
   :error-fn (lambda (_) (jsonrpc-shutdown connection))
   :timeout-fn (lambda () (jsonrpc-shutdown connection))))

(defun qwen-lsp--notified (connection method params)
  "Take the notification METHOD with PARAMS of CONNECTION."
  (pcase method
    ('qwen/status (qwen-lsp--heard connection params))
    ('window/showMessage (message "%s" (plist-get params :message)))))

(defun qwen-lsp--heard (connection status)
  "Keep the STATUS that CONNECTION's server has sent, and show it."
  (puthash connection status qwen-lsp--statuses)
  (force-mode-line-update t))

(defun qwen-lsp--ended (connection)
  "Forget CONNECTION, whose server has ended."
  (when (eq connection qwen-lsp--connection)
    (setq qwen-lsp--connection nil)
    (dolist (buffer (buffer-list))
      (with-current-buffer buffer
        (setq qwen-lsp--uri nil)
        (qwen-lsp--hide)))
    (qwen-lsp--give-up "the server has ended; M-x qwen-lsp-log says why, M-x qwen-lsp-restart starts it again")))

(defun qwen-lsp--stop ()
  "End the server of our own in an orderly way."
  (when-let* ((connection qwen-lsp--connection))
    (dolist (buffer (buffer-list))
      (with-current-buffer buffer
        (qwen-lsp--close)))
    (setq qwen-lsp--connection nil)
    (ignore-errors
      (jsonrpc-request connection :shutdown nil :timeout 1)
      (jsonrpc-notify connection :exit nil)
      (jsonrpc-shutdown connection t))))

;;;; Documents, as our own server knows them

(defconst qwen-lsp--languages
  '(("bash" . "shellscript") ("c++" . "cpp") ("cperl" . "perl") ("js" . "javascript") ("js2" . "javascript")
    ("js-jsx" . "javascriptreact") ("rjsx" . "javascriptreact") ("sh" . "shellscript")
    ("tsx" . "typescriptreact") ("web" . "html"))
  "Names of modes that are not the language's in LSP.")

(defun qwen-lsp--language ()
  "LSP's identifier of the buffer's language."
  (let ((name (replace-regexp-in-string "\\(?:-ts\\)?-mode\\'" "" (symbol-name major-mode))))
    (alist-get name qwen-lsp--languages name nil #'equal)))

(defun qwen-lsp--file-uri (path)
  "The URI of the file at PATH."
  (let ((full (expand-file-name path)))
    (concat "file://" (if (string-prefix-p "/" full) "" "/")
            (url-hexify-string full url-path-allowed-chars))))

(defun qwen-lsp--text (start end)
  "The buffer's text from START to END, without what JSON cannot hold."
  (replace-regexp-in-string "[\ud800-\udfff\x110000-\x3fffff]" "\ufffd"
                            (buffer-substring-no-properties start end) t t))

(defun qwen-lsp--begin (buffer)
  "Open BUFFER in a server of our own, unless it is none of its business."
  (when (and (buffer-live-p buffer) (buffer-local-value 'qwen-lsp-mode buffer))
    (with-current-buffer buffer
      (unless (or qwen-lsp--uri (null buffer-file-name)
                  (qwen-lsp--workspace) (bound-and-true-p lsp--buffer-deferred))
        (qwen-lsp--connect)
        (when (and qwen-lsp--connection qwen-lsp--greeted)
          (qwen-lsp--open))))))

(defun qwen-lsp--open ()
  "Tell the server of the buffer, and of its project."
  (when-let* ((project (project-current))
              (folder (qwen-lsp--file-uri (directory-file-name (project-root project))))
              ((not (member folder qwen-lsp--folders))))
    (push folder qwen-lsp--folders)
    (jsonrpc-notify qwen-lsp--connection :workspace/didChangeWorkspaceFolders
                    `(:event (:added [(:uri ,folder :name ,(file-name-nondirectory folder))] :removed []))))
  (save-restriction
    (widen)
    (setq qwen-lsp--uri (qwen-lsp--file-uri buffer-file-name)
          qwen-lsp--version 0
          qwen-lsp--dirty nil
          qwen-lsp--newlines (1- (line-number-at-pos (point-max))))
    (jsonrpc-notify qwen-lsp--connection :textDocument/didOpen
                    `(:textDocument (:uri ,qwen-lsp--uri :languageId ,(qwen-lsp--language) :version 0
                                     :text ,(qwen-lsp--text (point-min) (point-max)))))))

(defun qwen-lsp--close ()
  "Tell our own server that the buffer is not its business any more."
  (qwen-lsp--hide)
  (when qwen-lsp--uri
    (ignore-errors
      (jsonrpc-notify qwen-lsp--connection :textDocument/didClose `(:textDocument (:uri ,qwen-lsp--uri))))
    (setq qwen-lsp--uri nil)))

(defun qwen-lsp--renamed ()
  "Close the buffer under its old name, and open it under the new one."
  (qwen-lsp--close)
  (qwen-lsp--begin (current-buffer)))

(defun qwen-lsp--saved ()
  "Tell our own server that the buffer was saved."
  (when qwen-lsp--uri
    (jsonrpc-notify qwen-lsp--connection :textDocument/didSave `(:textDocument (:uri ,qwen-lsp--uri)))))

(defun qwen-lsp--changed (start end _length)
  "Remember that the text from START to END is new."
  (when qwen-lsp--uri
    (let ((tail (- (1+ (buffer-size)) end)))
      (setq qwen-lsp--dirty
            (cons (min start (or (car qwen-lsp--dirty) start))
                  (min tail (or (cdr qwen-lsp--dirty) tail)))))))

(defun qwen-lsp--flush ()
  "Tell our own server what has changed: the lines from the first to the last.
Whole lines, since of the old text only their number is known."
  (when qwen-lsp--dirty
    (save-excursion
      (save-restriction
        (widen)
        (let* ((inhibit-field-text-motion t)
               (start (progn (goto-char (car qwen-lsp--dirty)) (line-beginning-position)))
               (whole (progn (goto-char (- (point-max) (cdr qwen-lsp--dirty))) (search-forward "\n" nil t)))
               (end (or whole (point-max)))
               (newlines (1- (line-number-at-pos (point-max))))
               (after (- newlines (1- (line-number-at-pos end))))
               (last (if whole
                         `(:line ,(- qwen-lsp--newlines after) :character 0)
                       `(:line ,qwen-lsp--newlines :character ,(1- (expt 2 31))))))
          (cl-incf qwen-lsp--version)
          (jsonrpc-notify
           qwen-lsp--connection :textDocument/didChange
           `(:textDocument (:uri ,qwen-lsp--uri :version ,qwen-lsp--version)
             :contentChanges [(:range (:start (:line ,(1- (line-number-at-pos start)) :character 0) :end ,last)
                               :text ,(qwen-lsp--text start end))]))
          (setq qwen-lsp--newlines newlines
                qwen-lsp--dirty nil))))))

;;;; lsp-mode

(defun qwen-lsp--workspace ()
  "The workspace of lsp-mode in which the server has this buffer, if any."
  (when (bound-and-true-p lsp--buffer-workspaces)
    (seq-find (lambda (workspace)
                (eq (lsp--client-server-id (lsp--workspace-client workspace)) 'qwen-lsp))
              (lsp-workspaces))))

(defun qwen-lsp--register ()
  "Make the server an add-on of lsp-mode, if that can show its suggestions."
  (when (require 'lsp-inline-completion nil t)
    (let ((handlers (make-hash-table :test #'equal)))
      (puthash "qwen/status" #'qwen-lsp--heard handlers)
      (lsp-register-client
       (make-lsp-client
        :server-id 'qwen-lsp
        :new-connection (lsp-stdio-connection (lambda () qwen-lsp-command))
        :activation-fn (lambda (_file mode) (provided-mode-derived-p mode 'prog-mode 'conf-mode))
        :add-on? t
        :multi-root t
        :priority -1
        :initialization-options (lambda () qwen-lsp-settings)
        :custom-capabilities '((experimental . ((qwenStatus . t))))
        :notification-handlers handlers)))
    ;; Last, so that lsp-mode has turned on what is turned off here.
    (add-hook 'lsp-configure-hook #'qwen-lsp--hand-over 90)))

(defun qwen-lsp--hand-over ()
  "Leave the buffer to lsp-mode, but for the moment of asking.
By itself it asks when no key has come for 2.5 seconds."
  (when (and qwen-lsp-mode (qwen-lsp--workspace))
    (qwen-lsp--close)
    (lsp-inline-completion-mode -1)))

(with-eval-after-load 'lsp-mode
  (qwen-lsp--register))

;;;; Asking for suggestions

(defun qwen-lsp--place ()
  "The buffer's text and point, as a value that an answer must find unchanged."
  (cons (buffer-chars-modified-tick) (point)))

(defun qwen-lsp--after-command ()
  "Show of the suggestion what is still to come, and ask anew if text has changed."
  (qwen-lsp--paint)
  (unless (eq qwen-lsp--tick (buffer-chars-modified-tick))
    (setq qwen-lsp--tick (buffer-chars-modified-tick))
    (when (timerp qwen-lsp--timer)
      (cancel-timer qwen-lsp--timer))
    (setq qwen-lsp--timer
          (run-with-idle-timer qwen-lsp-idle-delay nil #'qwen-lsp--ask-in (current-buffer)))))

(defun qwen-lsp--ask-in (buffer)
  "Ask for a suggestion if BUFFER is where a person types."
  (when (eq buffer (window-buffer (selected-window)))
    (with-current-buffer buffer
      (unless (or (not qwen-lsp-mode) buffer-read-only (use-region-p) executing-kbd-macro
                  (bound-and-true-p company-candidates))
        (if (qwen-lsp--workspace)
            (lsp-inline-completion-display 'implicit)
          (qwen-lsp--ask 2))))))

(defun qwen-lsp--ask (kind)
  "Ask our own server for suggestions at point.
KIND is LSP's InlineCompletionTriggerKind: 1 by hand, 2 while typing."
  (qwen-lsp--begin (current-buffer))
  (when qwen-lsp--uri
    (qwen-lsp--flush)
    (let ((buffer (current-buffer))
          (place (setq qwen-lsp--asked (qwen-lsp--place))))
      (jsonrpc-async-request
       qwen-lsp--connection :textDocument/inlineCompletion
       `(:textDocument (:uri ,qwen-lsp--uri)
         :position ,(qwen-lsp--position)
         :context (:triggerKind ,kind))
       :timeout 60
       :success-fn (lambda (answer)
                     (when (and answer (buffer-live-p buffer)) ; null: a newer request took its place
                       (with-current-buffer buffer
                         (when (and (equal place qwen-lsp--asked) (equal place (qwen-lsp--place)))
                           (qwen-lsp--show (append (plist-get answer :items) nil))))))
       :error-fn #'ignore
       :timeout-fn #'ignore))))

(defun qwen-lsp--position ()
  "Point as LSP has it, in code points."
  (let ((inhibit-field-text-motion t))
    (list :line (1- (line-number-at-pos nil t))
          :character (- (point) (line-beginning-position)))))

;;;; Ghost text

(defvar qwen-lsp--keymaps
  (list (cons 'qwen-lsp--ghost qwen-lsp-ghost-map))
  "What makes `qwen-lsp-ghost-map' active while a suggestion is shown.")

(add-to-list 'emulation-mode-map-alists 'qwen-lsp--keymaps)

(defun qwen-lsp--show (items)
  "Show the first of ITEMS, or nothing if there is none."
  (qwen-lsp--hide)
  (when items
    (let* ((inhibit-field-text-motion t)
           (line (line-beginning-position))
           (range (plist-get (car items) :range))
           (column (lambda (edge) (min (line-end-position)
                                       (+ line (plist-get (plist-get range edge) :character))))))
      (setq qwen-lsp--items items
            qwen-lsp--start (copy-marker (funcall column :start))
            qwen-lsp--ghost (make-overlay (point) (max (point) (funcall column :end)) nil nil t))
      (qwen-lsp--paint))))

(defun qwen-lsp--rest ()
  "What is still to come of the suggestion that is shown; nil if it does not fit."
  (when (and qwen-lsp--ghost (overlay-buffer qwen-lsp--ghost)
             (<= qwen-lsp--start (point) (overlay-end qwen-lsp--ghost)))
    (let ((text (plist-get (car qwen-lsp--items) :insertText))
          (typed (buffer-substring-no-properties qwen-lsp--start (point))))
      (when (string-prefix-p typed text)
        (substring text (length typed))))))

(defun qwen-lsp--paint ()
  "Show what is still to come of the suggestion, or hide it if it does not fit."
  (when qwen-lsp--ghost
    (let* ((rest (qwen-lsp--rest))
           (covered (and rest (buffer-substring-no-properties (point) (overlay-end qwen-lsp--ghost)))))
      (if (member rest (list nil covered))
          (qwen-lsp--hide)
        (move-overlay qwen-lsp--ghost (point) (overlay-end qwen-lsp--ghost))
        (overlay-put qwen-lsp--ghost 'before-string nil)
        (overlay-put qwen-lsp--ghost 'display nil)
        (if (string-suffix-p covered rest)
            (let ((new (propertize (string-remove-suffix covered rest) 'face 'qwen-lsp-ghost)))
              (put-text-property 0 1 'cursor t new)
              (overlay-put qwen-lsp--ghost 'before-string new))
          (overlay-put qwen-lsp--ghost 'display (propertize rest 'face 'qwen-lsp-ghost)))))))

(defun qwen-lsp--hide (&rest _)
  "Hide the suggestion."
  (setq qwen-lsp--asked nil)
  (when qwen-lsp--ghost
    (delete-overlay qwen-lsp--ghost)
    (set-marker qwen-lsp--start nil)
    (setq qwen-lsp--ghost nil
          qwen-lsp--items nil)))

(defun qwen-lsp--take (pattern)
  "Insert of the suggestion what PATTERN matches at its beginning."
  (let ((rest (or (qwen-lsp--rest) (user-error "No suggestion is shown"))))
    (if (and (string-match pattern rest) (< (match-end 0) (length rest)))
        (insert (substring rest 0 (match-end 0)))
      (let ((end (overlay-end qwen-lsp--ghost))
            (command (plist-get (car qwen-lsp--items) :command)))
        (qwen-lsp--hide)
        (delete-region (point) end)
        (insert rest)
        (when command
          (jsonrpc-async-request
           qwen-lsp--connection :workspace/executeCommand
           (list :command (plist-get command :command) :arguments (plist-get command :arguments))
           :success-fn #'ignore :error-fn #'ignore :timeout-fn #'ignore))))))

(defun qwen-lsp-accept ()
  "Insert the suggestion."
  (interactive)
  (qwen-lsp--take "\\`\\(?:.\\|\n\\)*"))

(defun qwen-lsp-accept-word ()
  "Insert the suggestion's next word."
  (interactive)
  (qwen-lsp--take "\\`[[:space:]\n]*\\(?:[[:alnum:]_]+\\|[^[:alnum:]_[:space:]\n]+\\)"))

(defun qwen-lsp-accept-line ()
  "Insert the suggestion up to the end of its next line."
  (interactive)
  (qwen-lsp--take "\\`\n*[^\n]*"))

(defun qwen-lsp-dismiss ()
  "Hide the suggestion."
  (interactive)
  (qwen-lsp--hide))

(defun qwen-lsp-next (&optional back)
  "Show the next suggestion, or with BACK the one before.
If there is one only, ask for others."
  (interactive)
  (if (null (cdr qwen-lsp--items))
      (qwen-lsp-suggest)
    (qwen-lsp--show (if back
                        (append (last qwen-lsp--items) (butlast qwen-lsp--items))
                      (append (cdr qwen-lsp--items) (list (car qwen-lsp--items)))))))

(defun qwen-lsp-previous ()
  "Show the suggestion before the one that is shown."
  (interactive)
  (qwen-lsp-next t))

;;;###autoload
(defun qwen-lsp-suggest ()
  "Ask for suggestions at point."
  (interactive)
  (if (qwen-lsp--workspace)
      (lsp-inline-completion-display)
    (unless qwen-lsp-mode
      (qwen-lsp-mode))
    (qwen-lsp--ask 1)))

;;;; Commands

(defun qwen-lsp--execute (command &rest arguments)
  "The answer of this buffer's server to COMMAND with ARGUMENTS."
  (let ((params (list :command command :arguments (vconcat arguments))))
    (if-let* ((workspace (qwen-lsp--workspace)))
        (let ((lsp--cur-workspace workspace))
          (lsp-request "workspace/executeCommand" params))
      (unless qwen-lsp--connection
        (user-error "%s" (or qwen-lsp--trouble "No qwen-lsp runs here: M-x qwen-lsp-mode starts it")))
      (condition-case failure
          (jsonrpc-request qwen-lsp--connection :workspace/executeCommand params)
        (jsonrpc-error
         (user-error "%s" (or (alist-get 'jsonrpc-error-message (cddr failure))
                              (error-message-string failure))))))))

(defun qwen-lsp--get (object key)
  "What OBJECT has at KEY, a string.
Objects are property lists, or as lsp-mode has them."
  (if (hash-table-p object)
      (gethash key object)
    (plist-get object (intern (concat ":" key)))))

(defun qwen-lsp--tell (answer)
  "Show a command's ANSWER to a person."
  (message "qwen-lsp: %s" (qwen-lsp--get answer "text")))

(defun qwen-lsp--document ()
  "The URI by which this buffer's server knows it."
  (if (qwen-lsp--workspace) (lsp--buffer-uri) qwen-lsp--uri))

;;;###autoload
(defun qwen-lsp-status ()
  "Say how it stands with suggestions: ready, paused, or what is wrong."
  (interactive)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.status")))

(defun qwen-lsp-pause ()
  "Pause suggestions until `qwen-lsp-resume'."
  (interactive)
  (qwen-lsp--hide)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.pause")))

(defun qwen-lsp-resume ()
  "Resume suggestions, also where the settings turn them off."
  (interactive)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.resume")))

(defun qwen-lsp-toggle ()
  "Pause suggestions, or resume them."
  (interactive)
  (qwen-lsp--hide)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.toggle")))

(defun qwen-lsp-snooze (minutes)
  "Pause suggestions for some MINUTES: 5, or the prefix argument."
  (interactive (list (if current-prefix-arg (prefix-numeric-value current-prefix-arg) 5)))
  (qwen-lsp--hide)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.snooze" minutes)))

(defun qwen-lsp-why ()
  "Say what became of the last request in this buffer: why there is no suggestion."
  (interactive)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.why" (qwen-lsp--document))))

(defun qwen-lsp-fix ()
  "Do what would help just now: resume, fetch a model that is lacking, or say why."
  (interactive)
  (let* ((status (qwen-lsp--execute "qwen.status"))
         (command (qwen-lsp--get status "command")))
    (if command
        (qwen-lsp--tell (apply #'qwen-lsp--execute (qwen-lsp--get command "command")
                               (append (qwen-lsp--get command "arguments") nil)))
      (message "qwen-lsp: there is nothing to fix: %s" (qwen-lsp--get status "text")))))

(defun qwen-lsp-inspect ()
  "Show what led to the last suggestion: prompt, answer, and what was made of it."
  (interactive)
  (let ((text (qwen-lsp--get (qwen-lsp--execute "qwen.inspect") "text")))
    (with-current-buffer (get-buffer-create "*qwen-lsp inspect*")
      (let ((inhibit-read-only t))
        (erase-buffer)
        (insert text)
        (goto-char (point-min)))
      (special-mode)
      (pop-to-buffer (current-buffer)))))

(defun qwen-lsp-statistics ()
  "Say how much was asked, shown and accepted since the server started."
  (interactive)
  (message "%s" (qwen-lsp--get (qwen-lsp--execute "qwen.statistics") "text")))

(defun qwen-lsp-use (provider model)
  "Let PROVIDER complete with MODEL in this session.
With neither, who completes is what the settings say."
  (interactive (list (completing-read "Provider (empty: as set): " '("auto" "dashscope" "openai" "local"))
                     (read-string "Model (empty: its default): ")))
  (qwen-lsp--hide)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.use" provider model)))

(defun qwen-lsp-clear-cache ()
  "Forget all answers, and look for the service anew."
  (interactive)
  (qwen-lsp--hide)
  (qwen-lsp--tell (qwen-lsp--execute "qwen.clearCache")))

(defun qwen-lsp-fetch-model (model)
  "Fetch the embedded MODEL, for all editors; it needs no key."
  (interactive (list (completing-read "Model: " '("1.5b" "0.5b") nil nil nil nil "1.5b")))
  (message "%s" (qwen-lsp--get (qwen-lsp--execute "qwen.fetchModel" model) "text")))

(defun qwen-lsp-log ()
  "Show what the server has logged."
  (interactive)
  (let ((name (if-let* ((workspace (qwen-lsp--workspace)))
                  (format "*%s::stderr*" (process-name (lsp--workspace-proc workspace)))
                "*qwen-lsp stderr*")))
    (pop-to-buffer (or (get-buffer name)
                       (get-buffer (concat " " name)) ; jsonrpc hides it
                       (user-error "%s" (or qwen-lsp--trouble "Nothing is logged: no qwen-lsp runs here"))))))

(defun qwen-lsp-restart ()
  "Start the server of `qwen-lsp-mode' anew, with the settings as they are now.
In buffers of lsp-mode use `lsp-workspace-restart'."
  (interactive)
  (qwen-lsp--stop)
  (setq qwen-lsp--trouble nil)
  (dolist (buffer (buffer-list))
    (qwen-lsp--begin buffer)))

;;;; The modes

(defun qwen-lsp--lighter ()
  "The mode line's word for the server's state."
  (let* ((workspace (qwen-lsp--workspace))
         (trouble (and (not workspace) qwen-lsp--trouble))
         (status (gethash (or workspace qwen-lsp--connection) qwen-lsp--statuses))
         (state (if trouble "error" (and status (qwen-lsp--get status "state"))))
         (mark (pcase state
                 ("busy" "…")
                 ((or "paused" "off") "-")
                 ("warning" "?")
                 ("error" "!")
                 (_ ""))))
    (propertize (concat " Qwen" mark)
                'help-echo (or trouble (and status (qwen-lsp--get status "reason"))))))

;;;###autoload
(define-minor-mode qwen-lsp-mode
  "Show while typing what Qwen-Coder would write next.

\\{qwen-lsp-ghost-map}"
  :lighter (:eval (qwen-lsp--lighter))
  (let ((hooks '((after-change-functions . qwen-lsp--changed)
                 (post-command-hook . qwen-lsp--after-command)
                 (after-save-hook . qwen-lsp--saved)
                 (after-set-visited-file-name-hook . qwen-lsp--renamed)
                 (window-selection-change-functions . qwen-lsp--hide)
                 (change-major-mode-hook . qwen-lsp--close)
                 (kill-buffer-hook . qwen-lsp--close))))
    (pcase-dolist (`(,hook . ,function) hooks)
      (if qwen-lsp-mode
          (add-hook hook function nil t)
        (remove-hook hook function t)))
    (if (not qwen-lsp-mode)
        (qwen-lsp--close)
      (setq qwen-lsp--tick (buffer-chars-modified-tick))
      (add-hook 'kill-emacs-hook #'qwen-lsp--stop)
      (qwen-lsp--hand-over)
      ;; Later, when it is known whether lsp-mode serves the buffer.
      (run-with-idle-timer 0 nil #'qwen-lsp--begin (current-buffer)))))

(defun qwen-lsp--turn-on ()
  "Turn on `qwen-lsp-mode' where a file of this machine is edited."
  (when (and buffer-file-name (not (file-remote-p buffer-file-name)))
    (qwen-lsp-mode)))

;;;###autoload
(define-globalized-minor-mode global-qwen-lsp-mode qwen-lsp-mode qwen-lsp--turn-on
  :predicate '(prog-mode conf-mode))

(provide 'qwen-lsp)
;;; qwen-lsp.el ends here
